/*
 * The builder's services for operators: forms of values, steps, connections, packed weights.
 *
 * Lifetimes are kept as steps are added: each connection stretches the life of the buffer's root to
 * the newest step. Buffers that may be overwritten in place are noted and merged at the end, when
 * all lifetimes are known (build.c).
 */
#include "base/parallel.h"
#include "plan/build.h"
#include "run/runtime.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- buffers ---- */

static int new_buffer(plan_builder *b, size_t bytes) {
    cnn_plan *p = b->plan;
    if (!cnn_grow((void **)&p->buffers, &p->buffer_capacity, p->buffer_count + 1,
                  sizeof(*p->buffers)))
        return -1;
    p->buffers[p->buffer_count] =
        (plan_buffer){.bytes = bytes, .parent = -1, .first = INT32_MAX, .last = -1};
    return (int)p->buffer_count++;
}

int plan_buffer_root(const cnn_plan *plan, int buffer) {
    while (plan->buffers[buffer].parent >= 0)
        buffer = plan->buffers[buffer].parent;
    return buffer;
}

size_t plan_buffer_offset(const cnn_plan *plan, int buffer) {
    size_t offset = 0;
    for (; plan->buffers[buffer].parent >= 0; buffer = plan->buffers[buffer].parent)
        offset += plan->buffers[buffer].parent_offset;
    return offset + plan->buffers[buffer].offset;
}

static void stretch_life(plan_builder *b, int buffer, int step) {
    plan_buffer *root = &b->plan->buffers[plan_buffer_root(b->plan, buffer)];
    root->first = MIN(root->first, step);
    root->last = MAX(root->last, step);
}

void plan_keep_alive(plan_builder *b, const plan_place *place, int step) {
    if (place->buffer >= 0) stretch_life(b, place->buffer, step);
}

/* ---- forms of values ---- */

bool plan_can_block(const graph *g, int value) {
    const graph_value *v = &g->values[value];
    if (v->dtype != CNN_FLOAT32 || v->shape.rank != 4) return false;
    for (int i = 0; i < 4; i++)
        if (v->shape.dims[i] < 1 || v->shape.dims[i] > INT32_MAX / (4 * LANES)) return false;
    return true;
}

/* A dense (N, C, 1, 1) tensor is its own blocked form if no lane of the last block is open. */
static bool same_when_blocked(const graph_value *v) {
    return v->shape.dims[2] == 1 && v->shape.dims[3] == 1 && v->shape.dims[1] % LANES == 0;
}

bool plan_is_blocked(const plan_builder *b, int value) {
    const plan_value *v = &b->values[value];
    return v->has_wide ||
           (v->has_plain && plan_can_block(b->g, value) && same_when_blocked(&b->g->values[value]));
}

/* Geometry of a value with that many lanes and that halo; false if its size overflows. */
static bool make_geometry(const graph_value *v, int lanes, halo h, blocked *out, size_t *bytes) {
    *out = (blocked){.n = (int)v->shape.dims[0],
                     .c = (int)v->shape.dims[1],
                     .h = (int)v->shape.dims[2],
                     .w = (int)v->shape.dims[3],
                     .lanes = lanes,
                     .blocks = (int)(DIV_UP(v->shape.dims[1], lanes)),
                     .top = h.top,
                     .left = h.left,
                     .bottom = h.bottom,
                     .right = h.right};
    out->row_pitch = (size_t)(out->w + h.left + h.right) * (size_t)lanes;
    return cnn_mul_size(out->row_pitch, (size_t)(out->h + h.top + h.bottom), &out->block_pitch) &&
           cnn_mul_size(out->block_pitch, (size_t)out->blocks, &out->image_pitch) &&
           cnn_mul_size(out->image_pitch, (size_t)out->n, bytes) &&
           cnn_mul_size(*bytes, sizeof(float), bytes) && *bytes <= GRAPH_MAX_TENSOR_BYTES;
}

bool plan_halo_fits(const graph *g, int value, halo h) {
    blocked geometry;
    size_t bytes;
    return make_geometry(&g->values[value], LANES, h, &geometry, &bytes);
}

static size_t first_pixel(const blocked *g) {
    return ((size_t)g->top * g->row_pitch + (size_t)g->left * (size_t)g->lanes) * sizeof(float);
}

static cnn_status too_large(const plan_builder *b, int value, cnn_error *err) {
    char text[128];
    return cnn_fail(
        err, CNN_LIMIT, "tensor '%s' (%s) is larger than %zu bytes", b->g->values[value].name,
        cnn_shape_text(&b->g->values[value].shape, text, sizeof(text)), GRAPH_MAX_TENSOR_BYTES);
}

/* Creates a blocked form in memory of its own. */
static cnn_status new_blocked(plan_builder *b, int value, int lanes, halo h, plan_blocked *out,
                              cnn_error *err) {
    size_t bytes;
    if (!make_geometry(&b->g->values[value], lanes, h, &out->geometry, &bytes))
        return too_large(b, value, err);
    out->place = (plan_place){.buffer = new_buffer(b, bytes)};
    if (out->place.buffer < 0) return cnn_fail_memory(err, sizeof(plan_buffer));
    out->place.offset = first_pixel(&out->geometry);
    return CNN_OK;
}

/* The wide form as blocks of the value that it is a part of. */
static cnn_status part_of_whole(plan_builder *b, int value, plan_blocked *out, cnn_error *err) {
    plan_value *v = &b->values[value];
    plan_value *whole = &b->values[v->part_of];
    if (!whole->has_wide) {
        plan_blocked ignored;
        cnn_status status = plan_write_blocked(b, v->part_of, &ignored, err);
        if (status != CNN_OK) return status;
    }
    *out = whole->wide;
    out->geometry.c = (int)b->g->values[value].shape.dims[1];
    out->geometry.blocks = DIV_UP(out->geometry.c, LANES);
    out->place.offset += (size_t)v->first_block * out->geometry.block_pitch * sizeof(float);
    return CNN_OK;
}

cnn_status plan_write_blocked(plan_builder *b, int value, plan_blocked *out, cnn_error *err) {
    plan_value *v = &b->values[value];
    if (!v->has_wide) {
        cnn_status status = v->part_of >= 0 ? part_of_whole(b, value, &v->wide, err)
                                            : new_blocked(b, value, LANES, v->halo, &v->wide, err);
        if (status != CNN_OK) return status;
        v->has_wide = true;
    }
    *out = v->wide;
    return CNN_OK;
}

cnn_status plan_write_plain(plan_builder *b, int value, plan_place *out, cnn_error *err) {
    plan_value *v = &b->values[value];
    size_t bytes;
    if (!cnn_shape_elements(&b->g->values[value].shape, &bytes) ||
        !cnn_mul_size(bytes, cnn_dtype_size(b->g->values[value].dtype), &bytes) ||
        bytes > GRAPH_MAX_TENSOR_BYTES)
        return too_large(b, value, err);
    v->plain = (plan_place){.buffer = new_buffer(b, bytes)};
    if (v->plain.buffer < 0) return cnn_fail_memory(err, sizeof(plan_buffer));
    v->has_plain = true;
    *out = v->plain;
    return CNN_OK;
}

static bool has_halo(const blocked *g) {
    return g->top || g->left || g->bottom || g->right;
}

/* True if the blocked form is dense and equal to the plain one. */
static bool blocked_is_plain(const blocked *g) {
    return g->h == 1 && g->w == 1 && !has_halo(g) &&
           (g->n == 1 || (g->c % LANES == 0 && g->image_pitch == (size_t)g->c));
}

cnn_status plan_read_plain(plan_builder *b, int value, plan_place *out, cnn_error *err) {
    plan_value *v = &b->values[value];
    cnn_status status = CNN_OK;
    if (!v->has_plain && v->has_wide && blocked_is_plain(&v->wide.geometry)) {
        v->plain = v->wide.place;
        v->has_plain = true;
    }
    if (!v->has_plain) {
        assert(v->has_wide);
        status = plan_reorder_to_plain(b, value, err);
    }
    v->constant_read |= v->plain.buffer < 0;
    *out = v->plain;
    return status;
}

/* The plain form taken as blocked, without a copy. */
static void adopt_plain(plan_builder *b, int value) {
    plan_value *v = &b->values[value];
    size_t bytes;
    make_geometry(&b->g->values[value], LANES, (halo){0}, &v->wide.geometry, &bytes);
    v->wide.place = v->plain;
    v->has_wide = true;
}

cnn_status plan_read_blocked(plan_builder *b, int value, plan_blocked *out, cnn_error *err) {
    plan_value *v = &b->values[value];
    cnn_status status = CNN_OK;
    if (!v->has_wide) {
        assert(v->has_plain && plan_can_block(b->g, value));
        v->constant_read |= v->plain.buffer < 0;
        halo none = {0};
        if (v->part_of < 0 && same_when_blocked(&b->g->values[value]) &&
            memcmp(&none, &v->halo, sizeof(none)) == 0)
            adopt_plain(b, value);
        else
            status = plan_reorder_to_wide(b, value, err);
    }
    *out = v->wide;
    return status;
}

cnn_status plan_read_image(plan_builder *b, int value, plan_blocked *out, cnn_error *err) {
    plan_value *v = &b->values[value];
    int64_t channels = b->g->values[value].shape.dims[1];
    if (v->has_wide || channels > PLAN_NARROW_CHANNELS)
        return plan_read_blocked(b, value, out, err);
    if (!v->has_narrow) {
        v->constant_read |= v->plain.buffer < 0;
        cnn_status status = new_blocked(b, value, (int)channels, v->halo, &v->narrow, err);
        if (status == CNN_OK) status = plan_reorder_to_narrow(b, value, err);
        if (status != CNN_OK) return status;
        v->has_narrow = true;
    }
    *out = v->narrow;
    return CNN_OK;
}

cnn_status plan_read_planar(plan_builder *b, int value, plan_blocked *out, cnn_error *err) {
    size_t bytes;
    if (!make_geometry(&b->g->values[value], 1, (halo){0}, &out->geometry, &bytes))
        return too_large(b, value, err);
    return plan_read_plain(b, value, &out->place, err);
}

cnn_status plan_alias(plan_builder *b, int from, int to, size_t offset, cnn_error *err) {
    assert(offset % CNN_ALIGN == 0);
    plan_value *v = &b->values[to];
    cnn_status status = plan_read_plain(b, from, &v->plain, err);
    v->has_plain = status == CNN_OK;
    v->plain.offset += offset;
    return status;
}

cnn_status plan_scratch(plan_builder *b, size_t bytes, plan_place *out, cnn_error *err) {
    if (bytes > GRAPH_MAX_TENSOR_BYTES)
        return cnn_fail(err, CNN_LIMIT, "%s '%s' needs more than %zu bytes of memory",
                        b->node->op->name, graph_node_label(b->g, b->node), GRAPH_MAX_TENSOR_BYTES);
    *out = (plan_place){.buffer = new_buffer(b, bytes)};
    return out->buffer < 0 ? cnn_fail_memory(err, sizeof(plan_buffer)) : CNN_OK;
}

/* ---- steps ---- */

plan_step *plan_add_step(plan_builder *b, const char *kernel, tile_fn *tile, size_t tiles,
                         const void *args, size_t args_size) {
    cnn_plan *p = b->plan;
    if (!cnn_grow((void **)&p->steps, &p->step_capacity, p->step_count + 1, sizeof(*p->steps)))
        return NULL;
    plan_step *s = &p->steps[p->step_count];
    const graph_node *node = b->node;
    *s = (plan_step){.kernel = kernel,
                     .tile = tile,
                     .tiles = tiles,
                     .args_size = args_size,
                     .origin = node ? node->origin : -1,
                     .joined = -1};
    s->args = cnn_alloc_aligned(args_size);
    if (!s->args) return NULL;
    memcpy(s->args, args, args_size);
    s->name = node ? node->name : "";
    s->op = node ? node->op->name : "";
    int output = node && node->output_count ? node->outputs[0] : -1;
    if (output >= 0) {
        s->shape = b->g->values[output].shape;
        if (*s->name == 0) s->name = b->g->values[output].name;
    }
    if (node && node->op->macs) s->macs = node->op->macs(b->g, node);
    p->step_count++;
    return s;
}

static plan_step *newest(plan_builder *b) {
    assert(b->plan->step_count > 0);
    return &b->plan->steps[b->plan->step_count - 1];
}

static void add_reloc(plan_builder *b, reloc r) {
    plan_step *s = newest(b);
    assert(r.where + sizeof(void *) <= s->args_size);
    if (!cnn_grow((void **)&s->relocs, &s->reloc_capacity, s->reloc_count + 1,
                  sizeof(*s->relocs))) {
        b->out_of_memory = true;
        return;
    }
    s->relocs[s->reloc_count++] = r;
}

static void connect(plan_builder *b, size_t where, const plan_place *place) {
    if (place->buffer < 0) {
        const void *pointer = (const char *)place->constant + place->offset;
        memcpy((char *)newest(b)->args + where, &pointer, sizeof(pointer));
        return;
    }
    add_reloc(b, (reloc){RELOC_BUFFER, where, place->buffer, place->offset});
    stretch_life(b, place->buffer, (int)b->plan->step_count - 1);
}

void plan_connect_read(plan_builder *b, size_t where, const plan_place *place) {
    connect(b, where, place);
}

void plan_connect_write(plan_builder *b, size_t where, const plan_place *place) {
    assert(place->buffer >= 0);
    const plan_buffer *buffer = &b->plan->buffers[place->buffer];
    if (buffer->last < 0) newest(b)->bytes += buffer->bytes; /* later steps fill it further */
    connect(b, where, place);
}

void plan_connect_self(plan_builder *b, size_t where, size_t offset) {
    add_reloc(b, (reloc){RELOC_SELF, where, -1, offset});
}

void plan_connect_read_blocked(plan_builder *b, size_t where, const plan_blocked *v) {
    memcpy((char *)newest(b)->args + where, &v->geometry, sizeof(v->geometry));
    connect(b, where + offsetof(blocked, data), &v->place);
}

void plan_connect_write_blocked(plan_builder *b, size_t where, const plan_blocked *v) {
    plan_connect_read_blocked(b, where, v);
    const blocked *g = &v->geometry;
    plan_step *s = newest(b);
    s->bytes += (size_t)g->n * (size_t)g->blocks * g->block_pitch * sizeof(float);
    if (!has_halo(g)) return;
    if (!cnn_grow((void **)&s->halos, &s->halo_capacity, s->halo_count + 1, sizeof(*s->halos))) {
        b->out_of_memory = true;
        return;
    }
    s->halos[s->halo_count].geometry = *g;
    s->halos[s->halo_count].buffer = v->place.buffer;
    s->halos[s->halo_count++].offset = v->place.offset;
}

void plan_may_overwrite(plan_builder *b, const plan_place *in, const plan_place *out) {
    if (in->buffer < 0 || in->buffer == out->buffer || in->offset != out->offset ||
        b->plan->runtime->without & WITHOUT_OVERWRITE)
        return;
    if (!cnn_grow((void **)&b->overwrites, &b->overwrite_capacity, b->overwrite_count + 1,
                  sizeof(*b->overwrites))) {
        b->out_of_memory = true;
        return;
    }
    b->overwrites[b->overwrite_count++] =
        (overwrite){.step = (int)b->plan->step_count - 1, .in = in->buffer, .out = out->buffer};
}

/* ---- weights ---- */

cnn_status plan_own(plan_builder *b, void *memory, cnn_error *err) {
    bool ok = memory && cnn_grow((void **)&b->owned, &b->owned_capacity, b->owned_count + 1,
                                 sizeof(*b->owned));
    if (!ok) {
        free(memory);
        return cnn_fail_memory(err, sizeof(*b->owned));
    }
    b->owned[b->owned_count++] = memory;
    return CNN_OK;
}

/* Copies the arguments into the next job; whether there is one is seen later. */
static cnn_status prepare_job(plan_builder *b, plan_pack_fn *pack, const void *arg, size_t size,
                              cnn_error *err) {
    if (!cnn_grow((void **)&b->jobs, &b->job_capacity, b->job_count + 1, sizeof(*b->jobs)))
        return cnn_fail_memory(err, sizeof(*b->jobs));
    void *copy = malloc(size);
    cnn_status status = plan_own(b, copy, err);
    if (status != CNN_OK) return status;
    memcpy(copy, arg, size);
    b->jobs[b->job_count] = (pack_job){.pack = pack, .arg = copy, .store = b->store};
    return CNN_OK;
}

cnn_status plan_pack(plan_builder *b, const weight_key *key, size_t floats, plan_pack_fn *pack,
                     const void *arg, size_t size, const float **out, cnn_error *err) {
    cnn_plan *p = b->plan;
    if (!cnn_grow((void **)&p->weights, &p->weight_capacity, p->weight_count + 1,
                  sizeof(*p->weights)))
        return cnn_fail_memory(err, sizeof(*p->weights));
    packed *w;
    bool owed;
    cnn_status status = prepare_job(b, pack, arg, size, err);
    if (status == CNN_OK) status = weight_store_get(b->store, key, floats, &w, &owed, err);
    if (status != CNN_OK) return status;
    if (owed) b->jobs[b->job_count++].to = w;
    p->weights[p->weight_count++] = w;
    *out = w->data;
    return CNN_OK;
}

static void run_job(void *jobs, size_t index) {
    const pack_job *job = (pack_job *)jobs + index;
    job->pack(job->arg, job->to->data);
    weight_store_done(job->store, job->to);
}

void plan_pack_all(plan_builder *b) {
    cnn_parallel_for(b->threads, b->job_count, run_job, b->jobs);
    for (size_t i = 0; i < b->plan->weight_count; i++)
        weight_store_wait(b->store, b->plan->weights[i]);
    for (size_t i = 0; i < b->owned_count; i++)
        free(b->owned[i]);
    free(b->owned);
    free(b->jobs);
}

typedef struct vector_packing {
    const tensor *t;
    float factor;
    size_t count;
} vector_packing;

static void pack_vector(const void *arg, float *out) {
    const vector_packing *p = arg;
    const float *from = p->t->data;
    for (size_t i = 0; i < p->count; i++)
        out[i] = p->factor * from[p->t->elements == 1 ? 0 : i];
}

static void pack_nothing(const void *arg, float *out) {
    (void)arg;
    (void)out;
}

cnn_status plan_pack_vector(plan_builder *b, const tensor *t, float factor, size_t count,
                            size_t multiple, const float **out, cnn_error *err) {
    assert(!t || t->elements == count || t->elements == 1);
    vector_packing p = {t, factor, count};
    weight_key key = weight_key_begin(t ? "vector" : "zeros");
    weight_key_add(&key, &count, sizeof(count));
    weight_key_add(&key, &multiple, sizeof(multiple));
    if (t) {
        weight_key_add(&key, &factor, sizeof(factor));
        weight_key_add_tensor(&key, t);
    }
    return plan_pack(b, &key, DIV_UP(count, multiple) * multiple, t ? pack_vector : pack_nothing,
                     &p, sizeof(p), out, err);
}

bool plan_same_pitches(const blocked *a, const blocked *b) {
    return a->lanes == b->lanes && a->row_pitch == b->row_pitch &&
           a->block_pitch == b->block_pitch && a->image_pitch == b->image_pitch;
}

act_params plan_act(const graph_node *node) {
    return (act_params){node->fused.act, node->fused.alpha, node->fused.beta};
}

bool plan_window_fits(const op_window *w) {
    for (int i = 0; i < w->spatial; i++)
        if (w->kernel[i] > PLAN_MAX_WINDOW || w->stride[i] > PLAN_MAX_WINDOW ||
            w->dilation[i] > PLAN_MAX_WINDOW || w->pad_begin[i] > PLAN_MAX_WINDOW ||
            w->pad_end[i] > PLAN_MAX_WINDOW)
            return false;
    return true;
}

/* ---- grids ---- */

rows_grid plan_rows_grid(const blocked *out, size_t floats) {
    size_t row = (size_t)out->w * (size_t)out->lanes;
    size_t rows = MAX(floats / row, 1);
    rows_grid g = {.blocks = out->blocks, .h = out->h};
    g.rows = (int)MIN(rows, (size_t)out->h);
    g.chunks = DIV_UP(out->h, g.rows);
    return g;
}

size_t plan_rows_tiles(const rows_grid *g, int n) {
    return (size_t)n * (size_t)g->blocks * (size_t)g->chunks;
}

rows_tile plan_rows_tile(const rows_grid *g, size_t index) {
    size_t chunk = index % (size_t)g->chunks, block = index / (size_t)g->chunks;
    int y0 = (int)chunk * g->rows;
    return (rows_tile){.n = (int)(block / (size_t)g->blocks),
                       .b = (int)(block % (size_t)g->blocks),
                       .y0 = y0,
                       .y1 = MIN(y0 + g->rows, g->h)};
}
