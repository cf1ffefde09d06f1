/* winograd.c: see winograd.h, and the packer of weights for the winograd kernel. */
#include "kernels/winograd.h"

#include "kernels/kernels.h"

#include <assert.h>
#include <string.h>

/* clang-format off */
static const winograd_matrices matrices[] = {
    {.bt = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
     .g = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
     .at = {{1, 1, 1, 0}, {0, 1, -1, -1}}},
    {.bt = {{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
            {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
     .g = {{1.0 / 4, 0, 0}, {-1.0 / 6, -1.0 / 6, -1.0 / 6}, {-1.0 / 6, 1.0 / 6, -1.0 / 6},
           {1.0 / 24, 1.0 / 12, 1.0 / 6}, {1.0 / 24, -1.0 / 12, 1.0 / 6}, {0, 0, 1}},
     .at = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}},
};
/* clang-format on */

const winograd_matrices *winograd_matrices_of(int m) {
    assert(m == 2 || m == 4);
    return &matrices[m / 2 - 1];
}

size_t winograd_packed_floats(int oc, int ic, int m) {
    size_t points = (size_t)(m + 2) * (m + 2);
    return points * DIV_UP(oc, LANES) * LANES * DIV_UP(ic, LANES) * LANES;
}

#define MAX_POINTS (WINOGRAD_MAX_SIDE * WINOGRAD_MAX_SIDE)

/* G g Gt of `channels` kernels, each `distance` floats from the next, point after point `width`
 * floats apart. */
static void transform_kernels(const float *g, size_t distance, int channels, int m,
                              const winograd_matrices *w, size_t width, float *out) {
    int side = m + 2;
    for (int o = 0; o < channels; o++, g += distance) {
        double half[WINOGRAD_MAX_SIDE][3];
        for (int i = 0; i < side; i++)
            for (int x = 0; x < 3; x++)
                half[i][x] = w->g[i][0] * g[x] + w->g[i][1] * g[3 + x] + w->g[i][2] * g[6 + x];
        for (int i = 0; i < side; i++)
            for (int j = 0; j < side; j++)
                out[(size_t)(i * side + j) * width + o] =
                    (float)(half[i][0] * w->g[j][0] + half[i][1] * w->g[j][1] +
                            half[i][2] * w->g[j][2]);
    }
}

void winograd_pack(const float *weights, int oc, int ic, int m, int ob_group, float *packed) {
    const winograd_matrices *w = winograd_matrices_of(m);
    size_t k = (size_t)DIV_UP(ic, LANES) * LANES, points = (size_t)(m + 2) * (m + 2);
    memset(packed, 0, winograd_packed_floats(oc, ic, m) * sizeof *packed);
    for (int o = 0; o < oc; o += ob_group * LANES) {
        int channels = MIN(ob_group * LANES, oc - o);
        size_t width = (size_t)DIV_UP(channels, LANES) * LANES;
        for (int c = 0; c < ic; c++) {
            float row[MAX_POINTS * WINOGRAD_MAX_GROUP * LANES];
            transform_kernels(weights + ((size_t)o * ic + c) * 9, (size_t)ic * 9, channels, m, w,
                              width, row);
            for (size_t p = 0; p < points; p++)
                memcpy(packed + (p * k + c) * width, row + p * width, channels * sizeof *packed);
        }
        packed += points * k * width;
    }
}

/* ---- scratch memory ---- */

size_t winograd_input_row(const conv_args *a) {
    return (size_t)(a->in.blocks + 1) * LANES;
}

size_t winograd_product_point(const conv_args *a, const winograd_tile *t) {
    return ((size_t)(t->t1 - t->t0) * a->ob_group + 1) * LANES;
}

size_t winograd_scratch_floats(const conv_args *a, int m, const winograd_tile *t) {
    size_t points = (size_t)(m + 2) * (m + 2);
    size_t input = (size_t)(t->t1 - t->t0) * winograd_input_row(a);
    return points * (input + winograd_product_point(a, t));
}

/* ---- how many tiles ---- */

/* Weights of all points that stay in the second-level cache while the tiles pass by, with what is
 * left beside them for the tiles' transformed input and products. Larger ones come from further
 * away once per call, so that calls should be large. */
#define CACHED_BYTES ((size_t)640 << 10)
#define LARGE_BYTES  ((size_t)4 << 20)
#define MIN_TILES    ((size_t)14) /* a register tile's */

int winograd_tiles(const conv_args *a, int m, size_t limit) {
    int all = DIV_UP(a->out.h, m) * DIV_UP(a->out.w, m);
    size_t points = (size_t)(m + 2) * (m + 2), outputs = (size_t)a->out.blocks * LANES;
    size_t tile = points * (winograd_input_row(a) + outputs) * sizeof(float);
    size_t weights = points * a->in.blocks * LANES * outputs * sizeof(float);
    size_t wanted = weights > CACHED_BYTES ? LARGE_BYTES : CACHED_BYTES;
    size_t ends = points * LANES * sizeof(float); /* of the products' points */
    size_t panel = (size_t)MIN(a->out.blocks, WINOGRAD_MAX_GROUP) * LANES;
    size_t scratch = points * (winograd_input_row(a) + panel) * sizeof(float);
    size_t most = MIN(MAX(wanted / tile, MIN_TILES), (MAX(limit, ends) - ends) / scratch);
    if (most == 0) return 0;
    return DIV_UP(all, DIV_UP(all, (int)MIN(most, (size_t)all)));
}
