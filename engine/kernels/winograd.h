/*
 * The matrices of Winograd's minimal filtering for 3x3 kernels (Lavin and Gray, "Fast Algorithms
 * for Convolutional Neural Networks", arXiv:1509.09308). With d an (m + 2) x (m + 2) piece of the
 * input, g the kernel and * element by element, the m x m outputs are
 *
 *   At ((G g Gt) * (Bt d B)) A
 *
 * Interpolation points: 0, 1, -1 and infinity for m = 2; also 2 and -2 for m = 4. A tile takes 16
 * or 36 multiplications instead of 36 or 144. Not here: m = 6, which was no faster in measurements
 * and rounds more.
 */
#ifndef KERNELS_WINOGRAD_H
#define KERNELS_WINOGRAD_H

#define WINOGRAD_MAX_M    4
#define WINOGRAD_MAX_SIDE (WINOGRAD_MAX_M + 2)

typedef struct winograd_matrices {
    float bt[WINOGRAD_MAX_SIDE][WINOGRAD_MAX_SIDE];
    double g[WINOGRAD_MAX_SIDE][3];
    float at[WINOGRAD_MAX_M][WINOGRAD_MAX_SIDE];
} winograd_matrices;

/* m: 2 or 4. */
const winograd_matrices *winograd_matrices_of(int m);

#endif
