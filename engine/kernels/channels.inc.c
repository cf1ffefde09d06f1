/*
 * Channels moved about: each channel of the output is some channel of some input. A vector of lanes
 * is put together from the few input vectors that hold its channels, each permuted into place.
 */
#include "kernels/simd.h"

/* An input vector and the lanes that it gives. */
typedef struct channels_piece {
    const float *in; /* of the current row */
    size_t row_pitch;
    vec_int index, mask;
} channels_piece;

/* Adds lane `lane` of the output, which is lane `from` of the vector at `in`. */
static int channels_add(channels_piece *pieces, int count, const float *in, size_t row_pitch,
                        int lane, int from) {
    int i = 0;
    while (i < count && pieces[i].in != in)
        i++;
    if (i == count) pieces[count++] = (channels_piece){.in = in, .row_pitch = row_pitch};
    pieces[i].index[lane] = from;
    pieces[i].mask[lane] = -1;
    return count;
}

/* The pieces of the vector that begins with channel `first` of the output, in row t->y0. */
static int channels_pieces(const channels_args *a, const rows_tile *t, int first,
                           channels_piece *pieces) {
    int count = 0;
    for (int lane = 0; lane < SIMD_WIDTH && first + lane < a->out.c; lane++) {
        channel_source s = a->sources[first + lane];
        const blocked *in = &a->in[s.input];
        int vector = s.channel % LANES / SIMD_WIDTH * SIMD_WIDTH;
        const float *row = in->data + t->n * in->image_pitch + s.channel / LANES * in->block_pitch +
                           t->y0 * in->row_pitch + vector;
        count = channels_add(pieces, count, row, in->row_pitch, lane, s.channel % SIMD_WIDTH);
    }
    return count;
}

INLINE void channels_row(const channels_piece *pieces, int count, float *out, int width) {
    for (int x = 0; x < width; x++) {
        vec v = {0};
        for (int i = 0; i < count; i++)
            v = vec_select(pieces[i].mask,
                           vec_permute(vec_load(pieces[i].in + (size_t)x * LANES), pieces[i].index),
                           v);
        vec_store(out + (size_t)x * LANES, v);
    }
}

static void kernel_channels(const channels_args *a, const rows_tile *t) {
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
        channels_piece pieces[SIMD_WIDTH];
        int count = channels_pieces(a, t, t->b * LANES + lane, pieces);
        float *out = a->out.data + t->n * a->out.image_pitch + t->b * a->out.block_pitch +
                     t->y0 * a->out.row_pitch + lane;
        for (int y = t->y0; y < t->y1; y++, out += a->out.row_pitch) {
            channels_row(pieces, count, out, a->out.w);
            for (int i = 0; i < count; i++)
                pieces[i].in += pieces[i].row_pitch;
        }
    }
}
