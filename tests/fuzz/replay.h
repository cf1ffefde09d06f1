/*
 * The replay build of a fuzz target: a program for CI that feeds it seeds and then mutations of
 * them, the same ones in every run. replay.c holds its main, the target a `replay`.
 */
#ifndef TESTS_FUZZ_REPLAY_H
#define TESTS_FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

typedef struct replay_seed {
    const char *bytes;
    size_t size;
} replay_seed;

typedef struct replay_plan {
    const replay_seed *seeds;
    size_t seed_count;
    const char *const *folders; /* more seeds, below CNNSERVE_TEST_DATA */
    size_t folder_count;
    unsigned mutations;
} replay_plan;

extern const replay_plan replay;

/* What libFuzzer calls, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
