/* WaveletPool; numbers worked by hand. */
#include "node.h"

#include <math.h>

/* Sums and differences of the four, halved: vertically low or high, then horizontally. */
Test(wavelet_pool, haar) {
    node_test *t = node_begin("WaveletPool", 1);
    node_outputs(t, 4);
    IN(t, DIMS(1, 1, 2, 2), 1, 2, 3, 5);
    GIVES(t, DIMS(1, 1, 1, 1), (1 + 2 + 3 + 5) / 2.0);
    node_gives(t, 1, CNN_FLOAT32, DIMS(1, 1, 1, 1), NUMBERS((1 - 2 + 3 - 5) / 2.0));
    node_gives(t, 2, CNN_FLOAT32, DIMS(1, 1, 1, 1), NUMBERS((1 + 2 - 3 - 5) / 2.0));
    node_gives(t, 3, CNN_FLOAT32, DIMS(1, 1, 1, 1), NUMBERS((1 - 2 - 3 + 5) / 2.0));
    node_end(t);
}

/* The low band alone, of two channels. */
Test(wavelet_pool, low_band) {
    node_test *t = node_begin("WaveletPool", 1);
    node_in_counting(t, DIMS(1, 2, 2, 4));
    GIVES(t, DIMS(1, 2, 1, 2), 7, 11, 23, 27);
    node_end(t);
}

/* The last of an odd number of elements counts twice. */
Test(wavelet_pool, odd_length) {
    node_test *t = node_begin("WaveletPool", 1);
    node_outputs(t, 2);
    IN(t, DIMS(1, 1, 3), 1, 2, 4);
    GIVES(t, DIMS(1, 1, 2), 3 / sqrt(2), 8 / sqrt(2));
    node_gives(t, 1, CNN_FLOAT32, DIMS(1, 1, 2), NUMBERS(-1 / sqrt(2), 0));
    node_end(t);
    t = node_begin("WaveletPool", 1);
    IN(t, DIMS(1, 1, 1, 1), 3);
    GIVES(t, DIMS(1, 1, 1, 1), 6);
    node_end(t);
}

/* A cube counted from 1: its sum, differences along the last and along the first axis. */
Test(wavelet_pool, three_dimensions) {
    node_test *t = node_begin("WaveletPool", 1);
    node_outputs(t, 8);
    node_in_counting(t, DIMS(1, 1, 2, 2, 2));
    GIVES(t, DIMS(1, 1, 1, 1, 1), 36 / sqrt(8));
    node_gives(t, 1, CNN_FLOAT32, DIMS(1, 1, 1, 1, 1), NUMBERS(-4 / sqrt(8)));
    node_gives(t, 4, CNN_FLOAT32, DIMS(1, 1, 1, 1, 1), NUMBERS((10 - 26) / sqrt(8)));
    node_gives(t, 7, CNN_FLOAT32, DIMS(1, 1, 1, 1, 1), NUMBERS(0));
    node_end(t);
}

/*
 * Output o is the sum over j of filter[j] x[(2 o + 2 - j) mod 4]: an impulse at 0 is met by filter
 * coefficients 2 and 0, one at 1 by 1 and 3. The high-pass filter is the mirror -d c -b a.
 */
Test(wavelet_pool, given_filter) {
    for (int at = 0; at < 2; at++) {
        node_test *t = node_begin("WaveletPool", 1);
        node_attr_floats(t, "lowpass", NUMBERS(2, 3, 5, 7));
        node_outputs(t, 2);
        IN(t, DIMS(1, 1, 4), at == 0, at == 1, 0, 0);
        GIVES(t, DIMS(1, 1, 2), at ? 3 : 5, at ? 7 : 2);
        node_gives(t, 1, CNN_FLOAT32, DIMS(1, 1, 2), NUMBERS(at ? 5 : -3, at ? 2 : -7));
        node_end(t);
    }
}

Test(wavelet_pool, given_high_pass_filter) {
    node_test *t = node_begin("WaveletPool", 1);
    node_attr_floats(t, "highpass", NUMBERS(1, 10));
    node_outputs(t, 2);
    IN(t, DIMS(1, 1, 2), 3, 4);
    GIVES(t, DIMS(1, 1, 1), 7 / sqrt(2));
    node_gives(t, 1, CNN_FLOAT32, DIMS(1, 1, 1), NUMBERS(34));
    node_end(t);
}

/* Daubechies' filter of four taps is orthonormal: the bands have the energy of the picture. */
Test(wavelet_pool, keeps_energy) {
    double r = sqrt(3), f = 4 * sqrt(2), energy = 0;
    node_test *t = node_begin("WaveletPool", 1);
    node_attr_floats(t, "lowpass", NUMBERS((1 - r) / f, (3 - r) / f, (3 + r) / f, (1 + r) / f));
    node_outputs(t, 4);
    node_in_counting(t, DIMS(1, 1, 4, 2));
    node_run(t);
    for (size_t band = 0; band < 4; band++)
        for (size_t i = 0; i < t->out[band]->elements; i++)
            energy += pow(tensor_number(t->out[band], i), 2);
    cr_assert_float_eq(energy, 204, 1e-4); /* 1 + 4 + ... + 64 */
    node_end(t);
}

Test(wavelet_pool, errors) {
    node_test *t = node_begin("WaveletPool", 1);
    node_attr_floats(t, "lowpass", NUMBERS(1, 2, 3));
    node_in_counting(t, DIMS(1, 1, 4));
    node_fails(t, CNN_INVALID_MODEL, "lowpass has 3 numbers, but needs an even number up to 32");
    t = node_begin("WaveletPool", 1);
    node_attr_floats(t, "highpass", NUMBERS(1, 2, 3, 4));
    node_in_counting(t, DIMS(1, 1, 4));
    node_fails(t, CNN_INVALID_MODEL, "highpass has 4 numbers, but the low-pass filter has 2");
    t = node_begin("WaveletPool", 1);
    node_outputs(t, 5);
    node_in_counting(t, DIMS(1, 1, 4, 4));
    node_fails(t, CNN_INVALID_MODEL, "has 5 outputs, but there are 4 bands");
}
