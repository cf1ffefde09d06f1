/* Squeeze-and-excite blocks behind every kind of convolution and before every kind of reader. */
#include "networks.h"

#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct block {
    int64_t c, size, hidden, oc; /* oc: of the 1x1 convolution behind; 0: none */
    bool depthwise, dense;
    const char *steps; /* that it takes between the first convolution and the last step */
} block;

static const block blocks[] = {
    {32, 12, 8, 16, true, false, "excite scale_weights"},
    {24, 15, 6, 20, true, true, "excite scale_weights"},
    {24, 15, 6, 20, false, false, "row_sums excite scale_weights"},
    {32, 5, 8, 64, true, false, "excite"},
    {20, 7, 5, 0, true, false, "excite"},
    {480, 5, 20, 40, true, false, "squeeze excite"},
    {333, 4, 90, 40, false, true, "row_sums squeeze excite"},
};

/* The network of a block, whose input is n images. */
static cnn_shape make_block(network *net, const block *b, int64_t n) {
    graph_node *node;
    cnn_shape shape = SHAPE(n, b->c, b->size, b->size);
    network_begin(net, 40);
    int w = network_weights(net, &SHAPE(b->c, b->depthwise ? 1 : b->c, 3, 3), 0.1f);
    int x = network_node(net, "Conv", &node, 2, network_input(net, &shape), w);
    graph_add_attr_int(node, "group", b->depthwise ? b->c : 1);
    graph_add_attr_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    x = network_node(net, "Relu", NULL, 1, x);
    int y = network_squeeze_excite(net, x, b->c, b->hidden, b->dense);
    if (b->oc)
        y = network_node(net, "Conv", NULL, 2, y,
                         network_weights(net, &SHAPE(b->oc, b->c, 1, 1), 0.2f));
    network_output(net, y);
    return shape;
}

static trial make_trial(const block *b, int64_t n, cnn_runtime *rt) {
    network net;
    cnn_shape shape = make_block(&net, b, n);
    return trial_create(&net, rt, &shape, NULL, 0);
}

static void check_steps(const trial *t, const char *want) {
    char got[256] = "";
    for (size_t i = 0; i < cnn_plan_step_count(t->plan); i++) {
        const char *kernel = cnn_plan_step(t->plan, i).kernel;
        bool mine = strstr("row_sums squeeze excite scale_weights binary pool_average", kernel);
        if (!mine) continue;
        if (*got) strcat(got, " ");
        strcat(got, kernel);
    }
    cr_assert_str_eq(got, want, "'%s', not '%s'", got, want);
}

Test(squeeze, takes_few_steps) {
    cnn_runtime *rt = make_runtime(NULL, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
        trial t = make_trial(&blocks[i], 1, rt);
        check_steps(&t, blocks[i].steps);
        trial_free(&t);
    }
    cnn_runtime_free(rt);
}

Test(squeeze, same_bits_with_any_threads_at_every_instruction_set) {
    const kernel_table *tables[8];
    size_t count = kernels_available(tables, 8);
    for (size_t k = 0; k < count; k++) {
        cnn_runtime *one = make_runtime(tables[k]->isa, 1);
        cnn_runtime *three = make_runtime(tables[k]->isa, 3);
        for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
            trial t = make_trial(&blocks[i], 2, one), threaded = make_trial(&blocks[i], 2, three);
            trial_run(&t);
            trial_run(&t);
            trial_check(&t, tables[k]->isa);
            trial_run(&threaded);
            trial_check_same(&t, &threaded, tables[k]->isa);
            trial_free(&t);
            trial_free(&threaded);
        }
        cnn_runtime_free(one);
        cnn_runtime_free(three);
    }
}

/* Each of three images as if it were alone. */
static void check_batch(const block *b, cnn_runtime *rt) {
    trial batch = make_trial(b, 3, rt), one = make_trial(b, 1, rt);
    size_t in = (size_t)(b->c * b->size * b->size);
    size_t out = (size_t)((b->oc ? b->oc : b->c) * b->size * b->size);
    trial_run(&batch);
    const float *got = cnn_session_output(batch.session, 0);
    for (size_t n = 0; n < 3; n++) {
        memcpy(one.input, batch.input + n * in, in * sizeof(float));
        trial_run(&one);
        cr_assert_eq(memcmp(got + n * out, cnn_session_output(one.session, 0), out * sizeof(float)),
                     0, "image %zu of %d channels", n, (int)b->c);
    }
    trial_free(&batch);
    trial_free(&one);
}

Test(squeeze, images_of_a_batch_are_as_if_alone) {
    cnn_runtime *rt = make_runtime(NULL, 2);
    for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++)
        check_batch(&blocks[i], rt);
    cnn_runtime_free(rt);
}

/* Every value between input and output of the network, one at a time, beside the output. */
Test(squeeze, every_tensor_can_be_asked_for) {
    cnn_runtime *rt = make_runtime(NULL, 2);
    for (size_t i = 0; i < 3; i++) {
        network net;
        cnn_shape shape = make_block(&net, &blocks[i], 2);
        size_t nodes = net.g->node_count;
        graph_free(net.g);
        for (size_t k = 0; k < nodes; k++) {
            make_block(&net, &blocks[i], 2);
            const char *names[] = {net.g->values[net.g->outputs[0]].name,
                                   net.g->values[net.g->nodes[k]->outputs[0]].name};
            trial t = trial_create(&net, rt, &shape, names, k + 1 < nodes ? 2 : 1);
            trial_run(&t);
            trial_check(&t, names[1]);
            trial_free(&t);
        }
    }
    cnn_runtime_free(rt);
}

Test(squeeze, can_be_left_out) {
    setenv("CNN_WITHOUT", "squeeze", 1);
    cnn_runtime *rt = make_runtime(NULL, 1);
    unsetenv("CNN_WITHOUT");
    trial t = make_trial(&blocks[0], 1, rt);
    check_steps(&t, "pool_average binary");
    trial_free(&t);
    cnn_runtime_free(rt);
}
