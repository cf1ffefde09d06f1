/*
 * A stand-in for Criterion under ThreadSanitizer.
 *
 * Criterion runs each test in a process of its own, through memory at an address that the sanitizer
 * keeps for itself, and so aborts at the start. The tests in which threads meet are therefore built
 * with this header in the tsan preset: the same sources, one after the other in one process. It has
 * what those tests use and no more; the first failed assertion ends the program.
 */
#ifndef TESTS_TSAN_CRITERION_H
#define TESTS_TSAN_CRITERION_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tsan_test {
    const char *suite, *name;
    void (*run)(void);
    struct tsan_test *next;
} tsan_test;

/* Adds to the list that main() walks. */
void tsan_test_add(tsan_test *test);

#define Test(suite_, name_)                                                                        \
    static void suite_##_##name_(void);                                                            \
    __attribute__((constructor)) static void suite_##_##name_##_add(void) {                        \
        static tsan_test test = {#suite_, #name_, suite_##_##name_, NULL};                         \
        tsan_test_add(&test);                                                                      \
    }                                                                                              \
    static void suite_##_##name_(void)

/* The condition, then as in Criterion a format and its arguments. */
#define cr_assert(condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, " " __VA_ARGS__);                                                      \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define cr_assert_not(condition, ...) cr_assert(!(condition), __VA_ARGS__)
#define cr_assert_eq(a, b, ...)       cr_assert((a) == (b), __VA_ARGS__)
#define cr_assert_neq(a, b, ...)      cr_assert((a) != (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...)       cr_assert((a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...)      cr_assert((a) <= (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...)      cr_assert((a) >= (b), __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)   cr_assert(strcmp(a, b) == 0, __VA_ARGS__)
#define cr_assert_null(a, ...)        cr_assert((a) == NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...)    cr_assert((a) != NULL, __VA_ARGS__)

#endif
