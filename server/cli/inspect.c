/*
 * cnnserve inspect: the layer table of a model, how the engine computes it, and how images become
 * its input.
 *
 * A graph that is no image classifier is shown too, without what only a classifier has.
 */
#include "cli/cli.h"
#include "cli/graph.h"
#include "cli/options.h"
#include "cli/shapes.h"
#include "cli/table.h"
#include "models/describe.h"
#include "models/models.h"

#include <stdio.h>
#include <string.h>

#define JSON_MAX       ((size_t)256 << 20)
#define NAMES_MAX      ((size_t)1 << 20)
#define LABELS_SHOWN   5
#define LEFT_OUT_SHOWN 20

typedef struct inspect_values {
    bool json;
    option_list shape;
} inspect_values;

static const option_def defs[] = {
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(inspect_values, json),
     .help = "one JSON object instead of the table"},
    CLI_SHAPE(inspect_values),
};

static const option_set options = {
    .usage = "cnnserve inspect [options] MODEL",
    .about =
        "Shows a model layer by layer: name, operator, output shape, parameters,\n"
        "multiply-accumulates (MACs) of one run, the code that it runs as, and the memory of the\n"
        "activations that this writes. Instead of code, '^': the layer is fused into the one\n"
        "above, 'in NAME': into layer NAME, '-': it does nothing, or is not needed for the\n"
        "predictions. A second table has the tensors that each layer reads (constants left out)\n"
        "and, of convolutions and pooling, kernel size, stride, pads (top, left, bottom, right,\n"
        "or one number for all), dilation and groups. Below, parts of the file that are left out:\n"
        "no output needs them, or they cannot be run.\n\n" CLI_MODEL_HELP,
    .defs = defs,
    .count = sizeof defs / sizeof defs[0],
    .min_arguments = 1,
    .max_arguments = 1,
};

/* What is shown. */
typedef struct inspected {
    opened_graph of;
    cnn_summary *summary;
    cnn_plan *plan;
    const char *isa;
} inspected;

/* ---- text --------------------------------------------------------------------------------- */

/* `above` is the last layer before this one that has a kernel; NULL: there is none. */
static void add_kernel(table *t, const cnn_layer *layer, const cnn_layer *above) {
    if (layer->kernel)
        table_add(t, "%s", layer->kernel);
    else if (!layer->fused_into)
        table_add(t, "-");
    else if (above && above->name == layer->fused_into)
        table_add(t, "^");
    else
        table_add(t, "in %s", layer->fused_into);
}

static void print_layers(const cnn_summary *summary) {
    static const char *const titles[] = {"Layer", "Op",      "Output shape", "Params",
                                         "MACs",  "Runs as", "Memory"};
    char shape[200], params[40], macs[40], bytes[40];
    const cnn_layer *above = NULL;
    table t;
    table_init(&t, 7, titles, "lllrrlr");
    for (size_t i = 0; i < summary->layer_count; i++) {
        const cnn_layer *layer = &summary->layers[i];
        table_add(&t, "%s", layer->name);
        table_add(&t, "%s", layer->op);
        table_add(&t, "%s", text_shape(&layer->output.shape, shape, sizeof shape));
        table_add(&t, "%s", text_grouped(layer->params, params, sizeof params));
        table_add(&t, "%s", text_grouped(layer->macs, macs, sizeof macs));
        add_kernel(&t, layer, above);
        table_add(&t, "%s", layer->kernel ? text_bytes(layer->bytes, bytes, sizeof bytes) : "-");
        if (layer->kernel) above = layer;
    }
    table_print(&t);
    table_free(&t);
}

/* "3x3", of what has the same number on every axis, or "3" where `alike` may shorten it. */
static void add_extents(table *t, const int64_t *extents, int count, bool alike) {
    cnn_shape shape = {.rank = count};
    char text[100];
    bool same = alike;
    for (int i = 0; i < count; i++) {
        shape.dims[i] = extents[i];
        same = same && extents[i] == extents[0];
    }
    if (same && count > 0) shape.rank = 1;
    table_add(t, "%s", count ? text_shape(&shape, text, sizeof text) : "");
}

/* "1", or "0,0,1,1": where each axis begins, then where it ends, as ONNX lists them. */
static void add_pads(table *t, const cnn_window *window) {
    char text[100] = "";
    bool same = true;
    size_t used = 0;
    for (int i = 0; i < 2 * window->spatial; i++) {
        int64_t pad =
            i < window->spatial ? window->pads_begin[i] : window->pads_end[i - window->spatial];
        same = same && pad == window->pads_begin[0];
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld", i ? "," : "",
                                 (long long)pad);
    }
    if (same) text[strcspn(text, ",")] = '\0';
    table_add(t, "%s", text);
}

static void add_inputs(table *t, const cnn_layer *layer) {
    buffer names;
    buffer_init(&names, NAMES_MAX);
    for (size_t i = 0; i < layer->input_count; i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", layer->inputs[i]);
    buffer_append_char(&names, '\0');
    table_add(t, "%s", buffer_failed(&names) ? "..." : names.data);
    buffer_free(&names);
}

static void print_structure(const cnn_summary *summary) {
    static const char *const titles[] = {"Layer",    "Kernel", "Stride", "Pads",
                                         "Dilation", "Groups", "Inputs"};
    table t;
    table_init(&t, 7, titles, "lllllrl");
    for (size_t i = 0; i < summary->layer_count; i++) {
        const cnn_layer *layer = &summary->layers[i];
        const cnn_window *w = &layer->window;
        table_add(&t, "%s", layer->name);
        add_extents(&t, w->kernel, w->spatial, false);
        add_extents(&t, w->strides, w->spatial, true);
        add_pads(&t, w);
        add_extents(&t, w->dilations, w->spatial, true);
        if (w->group > 0)
            table_add(&t, "%lld", (long long)w->group);
        else
            table_add(&t, "%s", "");
        add_inputs(&t, layer);
    }
    puts("Windows and inputs\n");
    table_print(&t);
    putchar('\n');
    table_free(&t);
}

static void print_totals(const inspected *it) {
    char grouped[40], scaled[40];
    puts("\nTotals\n");
    printf("Total params:  %s (%s)\n", text_grouped(it->summary->params, grouped, sizeof grouped),
           text_scaled((double)it->summary->params, scaled, sizeof scaled));
    printf("Total MACs:    %s (%s)\n", text_grouped(it->summary->macs, grouped, sizeof grouped),
           text_scaled((double)it->summary->macs, scaled, sizeof scaled));
    printf("Weights:       %s packed\n",
           text_bytes(cnn_model_weights_bytes(it->of.graph), scaled, sizeof scaled));
    printf("Activations:   %s a run\n\n",
           text_bytes(cnn_plan_arena_bytes(it->plan), scaled, sizeof scaled));
}

static void print_tensor(const char *title, const cnn_tensor_info *info) {
    char shape[200];
    printf("%-15s%s  %s  %s\n", title, info->name, cnn_dtype_name(info->dtype),
           text_shape(&info->shape, shape, sizeof shape));
}

static void print_values(const char *title, const float *values, int count) {
    printf("%s", title);
    for (int i = 0; i < count; i++)
        printf("%s%.7g", i ? ", " : " ", values[i]);
}

static void print_preprocessing(const image_spec *spec, cnn_dtype dtype) {
    printf("%-15s%s, %s", "Preprocessing", json_color_name(spec->color),
           spec->layout == IMAGE_NCHW ? "NCHW" : "NHWC");
    if (spec->resize == IMAGE_RESIZE_SHORTEST)
        printf(", shorter side to %d (%s)", spec->size_h, json_filter_name(spec->filter));
    else if (spec->resize == IMAGE_RESIZE_EXACT)
        printf(", resized to %dx%d (%s)", spec->size_h, spec->size_w,
               json_filter_name(spec->filter));
    if (spec->crop_h > 0) printf(", centre crop %dx%d", spec->crop_h, spec->crop_w);
    if (spec->rounding != IMAGE_ROUND_NEAREST)
        printf(", rounded as %s does", json_rounding_name(spec->rounding));
    printf("\n%-15s(pixel x %.7g - mean) / std,", "", spec->scale);
    print_values(" mean", spec->mean, spec->channels);
    print_values(", std", spec->std, spec->channels);
    if (dtype != CNN_FLOAT32) printf(", as %s", cnn_dtype_name(dtype));
    putchar('\n');
}

static void print_classifier(const served_model *model) {
    size_t classes = served_model_class_count(model);
    puts("\nFrom picture to answer\n");
    print_preprocessing(served_model_spec(model), served_model_input(model).dtype);
    printf("%-15s%s\n", "Activation", model_activation_name(served_model_activation(model)));
    printf("%-15s%s\n", "Scores", served_model_scores(model)->text);
    printf("%-15s%zu: ", "Classes", classes);
    for (size_t i = 0; i < classes && i < LABELS_SHOWN; i++)
        printf("%s%s", i ? ", " : "", served_model_label(model, i));
    puts(classes > LABELS_SHOWN ? ", ..." : "");
    printf("%-15s%s\n", "Precision", served_model_precision(model));
}

/* What the model does without. */
static void print_left_out(const cnn_model *graph) {
    size_t count = cnn_model_left_out_count(graph);
    if (count > 0) puts("\nLeft out");
    for (size_t i = 0; i < count && i < LEFT_OUT_SHOWN; i++) {
        cnn_left_out part = cnn_model_left_out(graph, i);
        printf("  %s '%s'", part.kind, part.name);
        if (*part.op) printf(" (%s)", part.op);
        printf(": %s\n", part.reason);
    }
    if (count > LEFT_OUT_SHOWN) printf("  and %zu more, see --json\n", count - LEFT_OUT_SHOWN);
}

static void print_text(const inspected *it) {
    printf("Model %s", it->of.name);
    if (it->of.served)
        printf(", version %s, %s", served_model_version_text(it->of.served),
               served_model_origin(it->of.served));
    printf(", opset %d\n\n", cnn_model_opset(it->of.graph));
    print_layers(it->summary);
    print_totals(it);
    print_structure(it->summary);
    puts("Tensors\n");
    for (size_t i = 0; i < cnn_model_input_count(it->of.graph); i++) {
        cnn_tensor_info info = cnn_model_input(it->of.graph, i);
        print_tensor("Input", &info);
    }
    for (size_t i = 0; i < cnn_model_output_count(it->of.graph); i++) {
        cnn_tensor_info info = cnn_model_output(it->of.graph, i);
        if (cnn_model_output_check(it->of.graph, i, NULL) == CNN_OK) print_tensor("Output", &info);
    }
    for (size_t i = 0; i < cnn_plan_input_count(it->plan); i++) {
        cnn_tensor_info info = cnn_plan_input(it->plan, i);
        print_tensor("Computed for", &info);
    }
    if (it->of.served)
        print_classifier(it->of.served);
    else
        printf("\nNo image classifier: %s\n", it->of.why.message);
    print_left_out(it->of.graph);
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void write_inputs(json_writer *w, const cnn_model *graph) {
    json_write_key(w, "inputs");
    json_write_begin_array(w);
    for (size_t i = 0; i < cnn_model_input_count(graph); i++) {
        cnn_tensor_info info = cnn_model_input(graph, i);
        json_write_tensor_info(w, &info);
    }
    json_write_end_array(w);
}

/* Those that can be computed. */
static void write_outputs(json_writer *w, const cnn_model *graph) {
    json_write_key(w, "outputs");
    json_write_begin_array(w);
    for (size_t i = 0; i < cnn_model_output_count(graph); i++) {
        cnn_tensor_info info = cnn_model_output(graph, i);
        if (cnn_model_output_check(graph, i, NULL) == CNN_OK) json_write_tensor_info(w, &info);
    }
    json_write_end_array(w);
}

static void write_classifier(json_writer *w, const served_model *model) {
    json_write_member_text(w, "version", served_model_version_text(model));
    json_write_member_text(w, "precision", served_model_precision(model));
    json_write_key(w, "preprocessing");
    json_write_preprocessing(w, served_model_spec(model));
    json_write_key(w, "warnings");
    json_write_warnings(w, served_model_warnings(model));
    json_write_member_text(w, "activation", model_activation_name(served_model_activation(model)));
    json_write_key(w, "scores");
    json_write_scores(w, served_model_scores(model));
    json_write_key(w, "labels");
    json_write_labels(w, model);
}

static int print_json(const inspected *it) {
    buffer out;
    buffer_init(&out, JSON_MAX);
    json_writer w = {.out = &out};
    json_write_begin_object(&w);
    json_write_member_text(&w, "model", it->of.name);
    json_write_member_int(&w, "opset", cnn_model_opset(it->of.graph));
    json_write_member_uint(&w, "params", it->summary->params);
    json_write_member_uint(&w, "macs", it->summary->macs);
    json_write_member_uint(&w, "weights_bytes", cnn_model_weights_bytes(it->of.graph));
    json_write_member_uint(&w, "arena_bytes", cnn_plan_arena_bytes(it->plan));
    json_write_member_text(&w, "isa", it->isa);
    write_inputs(&w, it->of.graph);
    json_write_plan_inputs(&w, "computed_for", it->plan);
    write_outputs(&w, it->of.graph);
    if (it->of.served) write_classifier(&w, it->of.served);
    json_write_key(&w, "layers");
    json_write_layers(&w, it->summary);
    json_write_key(&w, "left_out");
    json_write_left_out(&w, it->of.graph);
    json_write_end_object(&w);
    bool failed = buffer_failed(&out);
    if (!failed) {
        fwrite(out.data, 1, out.size, stdout);
        putchar('\n');
    }
    buffer_free(&out);
    return failed ? cli_fail(CLI_FAILED, "the layer table does not fit into memory") : CLI_OK;
}

/* ---- the subcommand ----------------------------------------------------------------------- */

/* The shapes to look at it with: those of serving, or of the file, but for what --shape gives.
 * *out is NULL where the file's do. */
static bool choose_shapes(const inspected *it, const option_list *given, cnn_shape *shapes,
                          const cnn_shape **out) {
    size_t inputs = cnn_model_input_count(it->of.graph);
    *out = it->of.served || given->count > 0 ? shapes : NULL;
    if (*out && inputs > SHAPES_MAX) {
        cli_fail(CLI_USAGE, "the model has %zu inputs, --shape takes at most %d", inputs,
                 SHAPES_MAX);
        return false;
    }
    for (size_t i = 0; *out && i < inputs; i++) {
        shapes[i] = it->of.served ? served_model_nominal(it->of.served)
                                  : cnn_model_input(it->of.graph, i).shape;
        if (shapes[i].rank > 0 && shapes[i].dims[0] < 0) shapes[i].dims[0] = 1;
    }
    return shapes_read(it->of.graph, given, shapes);
}

/* Summary and plan: that of serving, which makes the predictions, or that of the graph's outputs.
 */
static bool describe(cnn_runtime *rt, const char *spec, const option_list *given, inspected *it) {
    cnn_error err = {0};
    cnn_shape shapes[SHAPES_MAX];
    cnn_plan_options how = {0};
    const char *output;
    if (!choose_shapes(it, given, shapes, &how.input_shapes)) return false;
    if (it->of.served) {
        output = served_model_output(it->of.served).name;
        how.outputs = &output;
        how.output_count = 1;
    }
    if (cnn_summary_create(it->of.graph, how.input_shapes, &it->summary, &err) != CNN_OK ||
        plan_what_can(it->of.graph, &how, &it->plan, &err) != CNN_OK) {
        cli_fail(CLI_USAGE, "%s: %s%s", spec, err.message, shapes_hint(err.status));
        return false;
    }
    cnn_summary_add_plan(it->summary, it->plan);
    it->isa = cnn_runtime_isa(rt);
    return true;
}

static void close_model(inspected *it) {
    cnn_plan_free(it->plan);
    cnn_summary_free(it->summary);
    graph_close(&it->of);
}

static int inspect(cnn_runtime *rt, const void *given, const option_list *arguments) {
    const inspect_values *values = given;
    const char *spec = arguments->items[0];
    inspected it = {0};
    int status = CLI_USAGE;
    if (graph_open(rt, spec, NULL, &it.of) && describe(rt, spec, &values->shape, &it)) {
        status = CLI_OK;
        if (values->json)
            status = print_json(&it);
        else
            print_text(&it);
    }
    close_model(&it);
    return status;
}

int cli_inspect(int argc, char **argv) {
    inspect_values values = {0};
    return cli_with_runtime(&options, argc, argv, &values, NULL, NULL, NULL, inspect);
}
