/* The two 16-bit float formats, in integer arithmetic: no compiler support or CPU flag needed. */
#include "base/base.h"

#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float cnn_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 0x1F, mantissa = half & 0x3FF;
    if (exponent == 0x1F) /* infinity, NaN */
        return float_of(sign | 0x7F800000u | mantissa << 13);
    if (exponent == 0) { /* zero and subnormals: mantissa x 2^-24, exact */
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* `value` shifted right, rounded to nearest, ties to even. */
static uint32_t round_shift(uint32_t value, unsigned shift) {
    uint32_t half = UINT32_C(1) << (shift - 1), rest = value & (2 * half - 1),
             kept = value >> shift;
    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t cnn_half_from_float(float value) {
    uint32_t bits = bits_of(value), magnitude = bits & 0x7FFFFFFFu;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    if (magnitude > 0x7F800000u) /* NaN stays one, quiet */
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
    if (magnitude >= 0x47800000u) /* 65536 and above */
        return sign | 0x7C00u;
    if (magnitude >= 0x38800000u) /* normal; rounding may carry into the exponent, up to infinity */
        return (uint16_t)(sign | round_shift(magnitude - 0x38000000u, 13));
    if (magnitude < 0x33000000u) /* below half of the smallest subnormal */
        return sign;
    uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    return (uint16_t)(sign | round_shift(mantissa, 126 - (magnitude >> 23)));
}

float cnn_bfloat16_to_float(uint16_t bits) {
    return float_of((uint32_t)bits << 16);
}

uint16_t cnn_bfloat16_from_float(float value) {
    uint32_t bits = bits_of(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)(bits >> 31 << 15 | round_shift(bits & 0x7FFFFFFFu, 16));
}
