/*
 * What the kernel tests share: random numbers with a fixed seed, memory that ends (or begins) at an
 * inaccessible page, blocked tensors in it, and comparison with the reference.
 */
#ifndef TESTS_KERNELS_SUPPORT_H
#define TESTS_KERNELS_SUPPORT_H

#include "kernels/kernels.h"

/* ---- random numbers (xorshift64*, Vigna 2016) ---- */

typedef struct rng {
    uint64_t state;
} rng;

rng rng_seed(uint64_t seed);
/* Uniform in [low, high], both included. */
int rng_int(rng *r, int low, int high);
bool rng_chance(rng *r, int percent);
/* Uniform in [-1, 1). */
float rng_float(rng *r);
void rng_fill(rng *r, float *out, size_t count);

/* ---- guarded memory ---- */

typedef struct guarded {
    float *data;
    size_t count;
    void *mapping;
    size_t mapped;
} guarded;

/* `at_end`: the float behind the last one is inaccessible; else the one before the first. */
guarded guarded_create(size_t count, bool at_end);
void guarded_free(guarded *g);

/* ---- blocked tensors ---- */

typedef struct tensor_memory {
    blocked view;
    guarded memory; /* all of it belongs to `view`: planes with their halo */
} tensor_memory;

typedef struct halo {
    int top, left, bottom, right;
} halo;

/* `lanes` LANES or c. Filled with zeros. */
tensor_memory tensor_memory_create(int n, int c, int h, int w, int lanes, halo pad, bool at_end);
/* The same geometry, filled with zeros. */
tensor_memory tensor_memory_like(const tensor_memory *t);
void tensor_memory_free(tensor_memory *t);
/* Random numbers inside, zeros in halo and lanes beyond c. */
void tensor_memory_randomise(tensor_memory *t, rng *r);
/* A value that kernels do not produce, everywhere. */
void tensor_memory_mark(tensor_memory *t);
bool is_marked(float x);
/* Between tensors of the same geometry. */
void tensor_memory_copy(tensor_memory *to, const tensor_memory *from);
float *tensor_memory_pixel(const tensor_memory *t, int n, int b, int y, int x);
/* Fails the test if a halo cell is not marked any more. */
void tensor_memory_check_halo(const tensor_memory *t, const char *what);
/* Fails the test unless every bit is the same. */
void tensor_memory_check_same(const tensor_memory *a, const tensor_memory *b, const char *what);
/*
 * Fails the test unless |got - want| <= relative * scale + absolute for every lane below c; scale
 * has the same geometry (NULL: |want|). Equal infinities and NaNs agree.
 */
void tensor_memory_check_close(const tensor_memory *got, const tensor_memory *want,
                               const tensor_memory *scale, double relative, double absolute,
                               const char *what);
bool close_enough(float got, float want, double tolerance);

act_params random_act(rng *r);

/* For each table that runs here. */
size_t tables(const kernel_table *out[4]);

#endif
