/* resample_loops.c: filtering rows and columns, and pixels -> values.
 *
 * Written once for the compiler's vectoriser and compiled for each instruction set of x86-64; only
 * the row of three channels has intrinsics, because no compiler finds its byte shuffles. Sums are
 * exact integers, and nothing is contracted (see CMakeLists.txt), so that the results are the same.
 */
#include "resample_loops.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static const int32_t half = 1 << (PRECISION_BITS - 1);

ALWAYS_INLINE uint8_t clip(int32_t sum) {
    int32_t v = sum >> PRECISION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void row3_baseline(const resample_axis *axis, const uint8_t *in, uint8_t *out,
                          size_t plane) {
    const int32_t *k = axis->coefficient;
    for (int i = 0; i < axis->count; i++, k += axis->taps, out++) {
        const uint8_t *p = in + (size_t)axis->start[i] * 3;
        int32_t r = half, g = half, b = half;
        for (int t = 0; t < axis->taps; t++, p += 3) {
            r += p[0] * k[t];
            g += p[1] * k[t];
            b += p[2] * k[t];
        }
        out[0] = clip(r);
        out[plane] = clip(g);
        out[plane * 2] = clip(b);
    }
}

ALWAYS_INLINE void filter_row1(const resample_axis *axis, const uint8_t *in, uint8_t *out) {
    const int32_t *k = axis->coefficient;
    for (int i = 0; i < axis->count; i++, k += axis->taps) {
        const uint8_t *p = in + axis->start[i];
        int32_t sum = half;
        for (int t = 0; t < axis->taps; t++)
            sum += p[t] * k[t];
        out[i] = clip(sum);
    }
}

/* In blocks whose sums stay in registers. */
ALWAYS_INLINE void filter_column(const uint8_t *const *rows, const int32_t *k, int taps,
                                 uint8_t *restrict out, size_t size) {
    for (size_t at = 0; at < size; at += COLUMN_BLOCK) {
        int32_t sum[COLUMN_BLOCK];
        for (int i = 0; i < COLUMN_BLOCK; i++)
            sum[i] = half;
        for (int t = 0; t < taps; t++) {
            const uint8_t *row = rows[t] + at;
            for (int i = 0; i < COLUMN_BLOCK; i++)
                sum[i] += row[i] * k[t];
        }
        for (int i = 0; i < COLUMN_BLOCK; i++)
            out[at + (size_t)i] = clip(sum[i]);
    }
}

ALWAYS_INLINE void scale_and_shift(const uint8_t *in, size_t count, float scale, float offset,
                                   float *restrict out, size_t step) {
    if (step == 1)
        for (size_t i = 0; i < count; i++)
            out[i] = (float)in[i] * scale + offset;
    else
        for (size_t i = 0; i < count; i++)
            out[i * step] = (float)in[i] * scale + offset;
}

#define DEFINE_LOOPS(isa, attributes)                                                              \
    attributes static void row1_##isa(const resample_axis *axis, const uint8_t *in,                \
                                      uint8_t *out) {                                              \
        filter_row1(axis, in, out);                                                                \
    }                                                                                              \
    attributes static void column_##isa(const uint8_t *const *rows, const int32_t *k, int taps,    \
                                        uint8_t *restrict out, size_t size) {                      \
        filter_column(rows, k, taps, out, size);                                                   \
    }                                                                                              \
    attributes static void normalise_##isa(const uint8_t *in, size_t count, float scale,           \
                                           float offset, float *restrict out, size_t step) {       \
        scale_and_shift(in, count, scale, offset, out, step);                                      \
    }

DEFINE_LOOPS(baseline, )
const struct resample_loops resample_loops_baseline = {row3_baseline, row1_baseline,
                                                       column_baseline, normalise_baseline};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
#if defined(__clang__)
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl"), min_vector_width(512)))
#else
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,prefer-vector-width=512")))
#endif

/* One output of three channels: the sums of its taps 0, 1, 4, 5, ... as (r, g, b, -) in the lower
 * half, of the others in the upper one. Pairs of samples are multiplied by pairs of low and of high
 * halves of coefficients; that partial sums may wrap does no harm. */
AVX2 ALWAYS_INLINE __m256i sum_taps(const uint8_t *in, const int16_t *k, size_t quads) {
    const __m256i pairs =
        _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                         -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    const __m256i low_half = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5,
                                              6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    const __m256i high_half = _mm256_add_epi8(low_half, _mm256_set1_epi8(8));
    __m256i low = _mm256_setzero_si256(), high = low;
    for (size_t q = 0; q < quads; q++) {
        __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(in + q * 12)));
        __m256i w = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(k + q * 8)));
        v = _mm256_shuffle_epi8(v, pairs);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(v, _mm256_shuffle_epi8(w, low_half)));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(v, _mm256_shuffle_epi8(w, high_half)));
    }
    return _mm256_add_epi32(low, _mm256_slli_epi32(high, SPLIT_BITS));
}

/* The outputs a and b, each in one half, rounded; packing will clip them. */
AVX2 ALWAYS_INLINE __m256i join(__m256i a, __m256i b) {
    __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                                   _mm256_permute2x128_si256(a, b, 0x31));
    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(half)), PRECISION_BITS);
}

/* quads: of taps, rounded up. */
AVX2 ALWAYS_INLINE void filter_row3(const resample_axis *axis, const uint8_t *in, uint8_t *out,
                                    size_t plane, size_t quads) {
    const __m128i by_channel = _mm_setr_epi8(0, 8, 4, 12, 1, 9, 5, 13, 2, 10, 6, 14, 3, 11, 7, 15);
    const int16_t *k = axis->split;
    for (int i = 0; i < axis->count; i += ROW3_GROUP, k += ROW3_GROUP * quads * 8) {
        const int32_t *start = axis->start + i;
        __m256i a = sum_taps(in + (size_t)start[0] * 3, k, quads);
        __m256i b = sum_taps(in + (size_t)start[1] * 3, k + quads * 8, quads);
        __m256i c = sum_taps(in + (size_t)start[2] * 3, k + quads * 16, quads);
        __m256i d = sum_taps(in + (size_t)start[3] * 3, k + quads * 24, quads);
        __m256i words = _mm256_packs_epi32(join(a, b), join(c, d)); /* a and c, b and d */
        __m128i bytes =
            _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        bytes = _mm_shuffle_epi8(bytes, by_channel);
        uint32_t rgb[4];
        memcpy(rgb, &bytes, sizeof rgb);
        for (size_t channel = 0; channel < 3; channel++)
            memcpy(out + channel * plane + i, &rgb[channel], sizeof *rgb);
    }
}

/* Most often an output has few taps. */
AVX2 static void row3_avx2(const resample_axis *axis, const uint8_t *in, uint8_t *out,
                           size_t plane) {
    size_t quads = ((size_t)axis->taps + 3) / 4;
    if (quads == 1)
        filter_row3(axis, in, out, plane, 1);
    else if (quads == 2)
        filter_row3(axis, in, out, plane, 2);
    else
        filter_row3(axis, in, out, plane, quads);
}

DEFINE_LOOPS(avx2, AVX2)
static const struct resample_loops loops_avx2 = {row3_avx2, row1_avx2, column_avx2, normalise_avx2};

DEFINE_LOOPS(avx512, AVX512)
static const struct resample_loops loops_avx512 = {row3_avx2, row1_avx512, column_avx512,
                                                   normalise_avx512};
#endif

/* CNN_CPU limits the choice as in the engine. */
const struct resample_loops *resample_loops_choose(void) {
    const char *level = getenv("CNN_CPU");
    if (level && strcmp(level, "baseline") == 0) return &resample_loops_baseline;
#if defined(__x86_64__)
    bool avx512 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (avx512 && !(level && strcmp(level, "avx2") == 0)) return &loops_avx512;
    if (__builtin_cpu_supports("avx2")) return &loops_avx2;
#endif
    return &resample_loops_baseline;
}
