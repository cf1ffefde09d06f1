/*
 * See strips.h. A tile is some rows and blocks of an image. It goes down its rows once for each few
 * blocks, so that what it keeps between the two steps is small, whatever the number of channels.
 * Rows that the next strip reads again move to the front; only tiles of different rows compute any
 * twice.
 */
#include "plan/strips.h"
#include "plan/build.h"
#include "run/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a tile keeps between the two steps: blocks, if the writer's panels are no wider, and bytes,
 * if a row of the reader needs no more. */
#define STRIP_BLOCKS 2
#define STRIP_BYTES  ((size_t)256 * 1024)
/* Less than this a step hands to the next one at no cost, measured with one and two threads. */
#define LARGE_BYTES ((size_t)128 * 1024)
/* Input that is read from the second-level cache again and again. */
#define CACHED_BYTES ((size_t)256 * 1024)

typedef struct strip_step {
    strip_part writer, reader;
    size_t writer_args, writer_size, reader_args, reader_size; /* within the step's, in bytes */
    blocked rows; /* what lies between; its blocks are `capacity` rows high */
    int capacity;
    int part;      /* blocks that a tile goes down with */
    int strip;     /* rows of the reader's output that are computed at a time */
    int out_rows;  /* of an image */
    plan_cut cut;  /* rows of the reader's output; parts */
    char name[32]; /* of the kernels */
} strip_step;

/* ---- running ---- */

/* Rows [first, last) of the blocks of `part`. */
typedef struct strip_window {
    const strip_step *s;
    char *writer, *reader; /* arguments of this tile */
    float *memory;         /* row `first` with its halo */
    conv_tile part;
    int first, last;
} strip_window;

static void *place_args(char **memory, const void *args, size_t size) {
    void *placed = memcpy(*memory, args, size);
    *memory += DIV_UP(size, CNN_ALIGN) * CNN_ALIGN;
    return placed;
}

/* The columns of the halo stay zero whatever row takes a place. */
static void clear_columns(const strip_step *s, float *row) {
    const blocked *r = &s->rows;
    size_t left = (size_t)r->left * LANES, right = (size_t)r->right * LANES;
    if (left + right == 0) return;
    for (int i = s->part * s->capacity; i > 0; i--, row += r->row_pitch) {
        memset(row, 0, left * sizeof(float));
        memset(row + r->row_pitch - right, 0, right * sizeof(float));
    }
}

static strip_window window_open(const strip_step *s) {
    char *memory = pool_scratch();
    strip_window w = {.s = s};
    w.writer = place_args(&memory, (const char *)s + s->writer_args, s->writer_size);
    w.reader = place_args(&memory, (const char *)s + s->reader_args, s->reader_size);
    w.memory = (float *)(void *)memory;
    clear_columns(s, w.memory);
    return w;
}

/* Tells both steps where pixel (0, 0) of block 0 would be. */
static void window_connect(strip_window *w) {
    blocked rows = w->s->rows;
    rows.data = w->memory + (size_t)rows.left * LANES -
                (ptrdiff_t)w->first * (ptrdiff_t)rows.row_pitch -
                (ptrdiff_t)w->part.ob0 * (ptrdiff_t)rows.block_pitch;
    memcpy(w->writer + w->s->writer.out, &rows, sizeof(rows));
    memcpy(w->reader + w->s->reader.in, &rows, sizeof(rows));
}

/* Rows above `first` are no longer needed. */
static void window_move(strip_window *w, int first) {
    const blocked *r = &w->s->rows;
    size_t kept = (size_t)MAX(w->last - first, 0) * r->row_pitch;
    float *block = w->memory;
    for (int b = w->part.ob0; kept > 0 && b < w->part.ob1; b++, block += r->block_pitch)
        memmove(block, block + (size_t)(first - w->first) * r->row_pitch, kept * sizeof(float));
    w->first = first;
    w->last = MAX(w->last, first);
    window_connect(w);
}

/* Rows [y0, y1) of the halo. */
static void clear_rows(const strip_window *w, int y0, int y1) {
    const blocked *r = &w->s->rows;
    float *row = w->memory + (ptrdiff_t)(y0 - w->first) * (ptrdiff_t)r->row_pitch;
    for (int b = w->part.ob0; y0 < y1 && b < w->part.ob1; b++, row += r->block_pitch)
        memset(row, 0, (size_t)(y1 - y0) * r->row_pitch * sizeof(float));
}

static void window_fill(strip_window *w, int last) {
    int h = w->s->rows.h;
    conv_tile t = w->part;
    t.y0 = MAX(w->last, 0);
    t.y1 = MIN(last, h);
    clear_rows(w, w->last, MIN(last, 0));
    if (t.y0 < t.y1) w->s->writer.run(w->writer, &t);
    clear_rows(w, MAX(w->last, h), last);
    w->last = MAX(w->last, last);
}

/* The rows of the window's part, strip by strip. */
static void run_part(strip_window *w) {
    const strip_part *reader = &w->s->reader;
    const blocked *rows = &w->s->rows;
    conv_tile t = w->part;
    w->first = w->last = -rows->top;
    for (; t.y0 < w->part.y1; t.y0 = t.y1) {
        t.y1 = MIN(t.y0 + w->s->strip, w->part.y1);
        int first = t.y0 * reader->stride - reader->pad;
        int last = (t.y1 - 1) * reader->stride - reader->pad + reader->extent;
        window_move(w, MAX(first, -rows->top));
        window_fill(w, MIN(last, rows->h + rows->bottom));
        reader->run(w->reader, &t);
    }
}

static void run_tile(void *args, size_t index) {
    const strip_step *s = args;
    const plan_cut *c = &s->cut;
    strip_window w = window_open(s);
    w.part.y0 = (int)(index % (size_t)c->row_chunks) * c->row_chunk;
    w.part.y1 = MIN(w.part.y0 + c->row_chunk, s->out_rows);
    index /= (size_t)c->row_chunks;
    int chunk = c->column_chunk * s->part;
    int begin = (int)(index % (size_t)c->column_chunks) * chunk;
    int end = MIN(begin + chunk, s->rows.blocks);
    w.part.n = (int)(index / (size_t)c->column_chunks);
    for (w.part.ob0 = begin; w.part.ob0 < end; w.part.ob0 = w.part.ob1) {
        w.part.ob1 = MIN(w.part.ob0 + s->part, end);
        run_part(&w);
    }
}

/* ---- which steps ---- */

static const reloc *find_reloc(const plan_step *s, size_t blocked_at) {
    for (size_t i = 0; i < s->reloc_count; i++)
        if (s->relocs[i].where == blocked_at + offsetof(blocked, data)) return &s->relocs[i];
    return NULL;
}

static blocked blocked_at(const plan_step *s, size_t where) {
    blocked found;
    memcpy(&found, (const char *)s->args + where, sizeof(found));
    return found;
}

/* True if the newest step reads just what the one before writes, and nobody else does. In the same
 * memory there may be a view, or a Concat of which that is the first operand: other nodes make
 * these. */
static bool is_pair(const plan_builder *b, const plan_step *writer, const plan_step *reader) {
    const graph_value *between = &b->g->values[b->node->inputs[0]];
    if (writer->strip.role != STRIP_WRITER || reader->strip.role != STRIP_READER ||
        b->node->fused.residual >= 0 || between->uses != 1 || between->producer < 0 ||
        b->g->nodes[between->producer]->origin != writer->origin)
        return false;
    const reloc *out = find_reloc(writer, writer->strip.out);
    const reloc *in = find_reloc(reader, reader->strip.in);
    return out && in && in->buffer == out->buffer && in->offset == out->offset;
}

static size_t image_bytes(const blocked *a) {
    return (size_t)a->h * (size_t)a->w * (size_t)a->lanes * (size_t)a->blocks * sizeof(float);
}

/*
 * It pays if much lies between the steps, unless the writer then reads more input again, once per
 * part, than that.
 */
static bool pays(const strip_step *s, const plan_step *writer) {
    blocked in = blocked_at(writer, writer->strip.in);
    size_t input = image_bytes(&in), between = image_bytes(&s->rows);
    size_t again = input * (size_t)(DIV_UP(s->rows.blocks, s->part) - 1);
    return between * (size_t)s->rows.n > LARGE_BYTES && (input <= CACHED_BYTES || again <= between);
}

/* ---- how ---- */

static int rows_read(const strip_part *reader, int rows) {
    return (rows - 1) * reader->stride + reader->extent;
}

typedef struct joined_cost {
    const plan_step *writer;
    const strip_step *s;
} joined_cost;

/* The reader's part does not depend on the cut. */
static double tile_cost(const void *arg, int rows, int parts) {
    const joined_cost *c = arg;
    int read = MIN(rows_read(&c->s->reader, rows), c->s->rows.h);
    return c->writer->strip.cost(c->writer->args, read, parts * c->s->part / c->s->writer.panel);
}

/* Sets the height of a strip. False if a worker's memory cannot hold even one row's. */
static bool cut_strips(strip_step *s, size_t limit) {
    size_t row = (size_t)s->part * s->rows.row_pitch * sizeof(float);
    int rows = s->cut.row_chunk, most = (int)(MIN(STRIP_BYTES, limit) / row);
    if (rows_read(&s->reader, rows) > most)
        rows = MAX((most - s->reader.extent) / s->reader.stride + 1, 1);
    s->strip = DIV_UP(s->cut.row_chunk, DIV_UP(s->cut.row_chunk, rows));
    s->capacity = rows_read(&s->reader, s->strip);
    s->rows.block_pitch = (size_t)s->capacity * s->rows.row_pitch;
    s->rows.image_pitch = 0;
    return (size_t)s->capacity <= limit / row;
}

static bool plan_strips(const plan_builder *b, const plan_step *writer, const plan_step *reader,
                        strip_step *s) {
    blocked out = blocked_at(reader, reader->strip.out);
    *s = (strip_step){.writer = writer->strip,
                      .reader = reader->strip,
                      .writer_size = writer->args_size,
                      .reader_size = reader->args_size,
                      .rows = blocked_at(reader, reader->strip.in),
                      .out_rows = out.h};
    s->writer_args = DIV_UP(sizeof(*s), CNN_ALIGN) * CNN_ALIGN;
    s->part = DIV_UP(STRIP_BLOCKS, s->writer.panel) * s->writer.panel;
    s->reader_args = s->writer_args + DIV_UP(s->writer_size, CNN_ALIGN) * CNN_ALIGN;
    snprintf(s->name, sizeof(s->name), "%s+%s", writer->kernel, reader->kernel);
    if (!pays(s, writer)) return false;
    joined_cost cost = {writer, s};
    s->cut = plan_cut_best(out.h, DIV_UP(out.blocks, s->part), out.h, (size_t)out.n, b->threads,
                           tile_cost, &cost);
    return cut_strips(s, POOL_SCRATCH_BYTES - s->writer.scratch - s->reader_args - s->reader_size -
                             CNN_ALIGN);
}

/* ---- joining ---- */

/* The pointers of a step whose arguments stand from byte `offset` of the joined ones on; but for
 * that of the `blocked` between the two. */
static void move_relocs(plan_builder *b, plan_step *to, plan_step *from, size_t offset,
                        size_t between) {
    for (size_t i = 0; i < from->reloc_count; i++) {
        reloc r = from->relocs[i];
        if (r.where == between + offsetof(blocked, data)) continue;
        r.where += offset;
        if (r.kind == RELOC_SELF) r.offset += offset;
        if (!cnn_grow((void **)&to->relocs, &to->reloc_capacity, to->reloc_count + 1,
                      sizeof(*to->relocs))) {
            b->out_of_memory = true;
            break;
        }
        to->relocs[to->reloc_count++] = r;
    }
    free(from->relocs);
}

/* Step `at` + 1 has become part of step `at`, and nothing is written to `between`. */
static void update_lives(plan_builder *b, int at, int between) {
    plan_buffer *buffers = b->plan->buffers;
    for (size_t i = 0; i < b->plan->buffer_count; i++) {
        buffers[i].first -= buffers[i].first == at + 1;
        buffers[i].last -= buffers[i].last == at + 1;
    }
    buffers[between] = (plan_buffer){.parent = -1, .first = INT32_MAX, .last = -1};
    while (b->overwrite_count > 0 && b->overwrites[b->overwrite_count - 1].step >= at)
        b->overwrite_count--;
}

static void *join_args(const strip_step *s, const plan_step *writer, const plan_step *reader) {
    char *args = cnn_alloc_aligned(s->reader_args + s->reader_size);
    if (!args) return NULL;
    memcpy(args, s, sizeof(*s));
    memcpy(args + s->writer_args, writer->args, s->writer_size);
    memcpy(args + s->reader_args, reader->args, s->reader_size);
    return args;
}

static void join(plan_builder *b, plan_step *writer, plan_step *reader, const strip_step *s) {
    int between = find_reloc(writer, s->writer.out)->buffer;
    char *args = join_args(s, writer, reader);
    if (!args) {
        b->out_of_memory = true;
        return;
    }
    plan_step joined = *reader;
    joined.name = writer->name;
    joined.op = writer->op;
    joined.origin = writer->origin;
    joined.joined = reader->origin;
    joined.kernel = ((strip_step *)(void *)args)->name;
    joined.macs += writer->macs;
    joined.strip.role = STRIP_NONE;
    joined.tile = run_tile;
    joined.tiles = (size_t)s->cut.row_chunks * (size_t)s->cut.column_chunks * (size_t)s->rows.n;
    joined.args = args;
    joined.args_size = s->reader_args + s->reader_size;
    joined.relocs = NULL;
    joined.reloc_count = joined.reloc_capacity = 0;
    move_relocs(b, &joined, writer, s->writer_args, s->writer.out);
    move_relocs(b, &joined, reader, s->reader_args, s->reader.in);
    free(writer->args);
    free(writer->halos);
    free(reader->args);
    *writer = joined;
    b->plan->step_count--;
    update_lives(b, (int)b->plan->step_count - 1, between);
}

void plan_join_strips(plan_builder *b) {
    if (b->plan->step_count < 2 || b->plan->runtime->without & WITHOUT_STRIPS) return;
    plan_step *reader = &b->plan->steps[b->plan->step_count - 1], *writer = reader - 1;
    strip_step s;
    if (is_pair(b, writer, reader) && plan_strips(b, writer, reader, &s))
        join(b, writer, reader, &s);
}
