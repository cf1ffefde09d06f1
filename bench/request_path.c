/*
 * Speed of what surrounds the network in a request, on one core.
 *
 *   bench_request_path [PICTURE...]
 *
 * With pictures: decoding, and decoding with preprocessing (shorter side to 256, centre crop of
 * 224, as ImageNet's networks are fed). Without: feature maps as JSON, in MB of text a second.
 *
 * The fastest of several repetitions counts, in time of this thread, so that a busy machine
 * disturbs little.
 */
#include "image/image.h"
#include "json/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 15, SIDE = 224, VALUES = 1 << 20 };

/* Milliseconds that this thread has run. */
static double thread_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- pictures ---- */

typedef struct picture_times {
    double decode, whole;
} picture_times;

static unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    *size = fread(bytes, 1, *size, file);
    fclose(file);
    return bytes;
}

static void check(image_code code, const image_error *err, const char *path) {
    if (code == IMAGE_OK) return;
    fprintf(stderr, "%s: %s\n", path, err->message);
    exit(1);
}

static picture_times measure_picture(const char *path, float *tensor, image_scratch *scratch) {
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    image_spec spec = image_spec_default(SIDE, SIDE);
    image_error err;
    picture_times best = {INFINITY, INFINITY};
    for (int i = 0; i < REPEATS; i++) {
        image img = {0};
        double start = thread_ms();
        check(image_decode(bytes, size, NULL, &img, NULL, &err), &err, path);
        best.decode = fmin(best.decode, thread_ms() - start);
        image_free(&img);

        image_file file = {0};
        start = thread_ms();
        check(image_open(bytes, size, NULL, &file, &err), &err, path);
        check(image_file_to_tensor(&file, &spec, SIDE, SIDE, tensor, scratch, NULL, &err), &err,
              path);
        image_close(&file);
        best.whole = fmin(best.whole, thread_ms() - start);
    }
    free(bytes);
    return best;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static void measure_pictures(char **paths, size_t count) {
    double *decode = malloc(count * sizeof *decode), *whole = malloc(count * sizeof *whole);
    float *tensor = malloc(sizeof(float) * 3 * SIDE * SIDE);
    image_scratch scratch = {0};
    for (size_t i = 0; i < count; i++) {
        picture_times times = measure_picture(paths[i], tensor, &scratch);
        decode[i] = times.decode;
        whole[i] = times.whole;
    }
    printf("%zu pictures, median: decode %.3f ms, file to tensor %.3f ms\n", count,
           median(decode, count), median(whole, count));
    image_scratch_free(&scratch);
    free(tensor);
    free(whole);
    free(decode);
}

/* ---- feature maps ---- */

/* About normally distributed, by the central limit theorem. */
static float normal(unsigned *state) {
    float sum = -6;
    for (int i = 0; i < 12; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (float)(*state >> 8) / (1 << 24);
    }
    return sum;
}

static void measure_json(const char *name, const float *values) {
    const int64_t dims[] = {64, VALUES / 64 / 64, 64};
    double best = INFINITY;
    size_t size = 0;
    for (int i = 0; i < REPEATS; i++) {
        buffer out;
        buffer_init(&out, (size_t)1 << 30);
        json_writer w = {.out = &out};
        double start = thread_ms();
        json_write_tensor(&w, values, dims, 3);
        best = fmin(best, thread_ms() - start);
        size = out.size;
        buffer_free(&out);
    }
    printf("%-24s %7.1f MB/s, %5.2f ns and %5.2f bytes a number\n", name,
           (double)size / best * 1e-3, best * 1e6 / VALUES, (double)size / VALUES);
}

static void measure_feature_maps(void) {
    float *values = malloc(VALUES * sizeof *values);
    unsigned state = 1;
    for (size_t i = 0; i < VALUES; i++)
        values[i] = normal(&state);
    measure_json("convolution", values);
    for (size_t i = 0; i < VALUES; i++)
        values[i] = fmaxf(values[i], 0.0f);
    measure_json("rectified", values);
    for (size_t i = 0; i < VALUES; i++)
        values[i] = expf(8 * normal(&state));
    measure_json("of every magnitude", values);
    free(values);
}

int main(int argc, char **argv) {
    if (argc > 1)
        measure_pictures(argv + 1, (size_t)argc - 1);
    else
        measure_feature_maps();
    return 0;
}
