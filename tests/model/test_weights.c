/* The store of packed weights. */
#include "model/weights.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

static packed *get(weight_store *s, weight_key key, size_t floats, bool new) {
    packed *p = NULL;
    bool owed = !new;
    cr_assert_eq(weight_store_get(s, &key, floats, &p, &owed, NULL), CNN_OK);
    cr_assert_eq(owed, new);
    return p;
}

Test(weights, a_key_says_all_that_went_into_it) {
    weight_key keys[] = {weight_key_begin("conv"), weight_key_begin("gemm"),
                         weight_key_begin("conv"), weight_key_begin("conv"),
                         weight_key_begin("conv")};
    weight_key_add(&keys[2], "ab", 2);
    weight_key_add(&keys[3], "a", 1);
    weight_key_add(&keys[3], "b", 1);
    weight_key_add(&keys[4], NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(memcmp(&keys[i], &keys[j], sizeof(weight_key)), 0, "%zu and %zu", i, j);
    weight_key again = weight_key_begin("conv");
    weight_key_add(&again, "ab", 2);
    cr_assert_eq(memcmp(&again, &keys[2], sizeof(weight_key)), 0);
}

Test(weights, are_shared_by_key_and_size) {
    weight_store s;
    weight_store_init(&s);
    weight_key key = weight_key_begin("conv");
    packed *first = get(&s, key, 10, true), *second = get(&s, key, 10, false);
    packed *larger = get(&s, key, 11, true);
    cr_assert_eq(first, second);
    cr_assert_neq(first, larger);
    cr_assert_eq(weight_store_bytes(&s), 21 * sizeof(float));
    weight_store_release(&s, first);
    cr_assert_eq(weight_store_bytes(&s), 21 * sizeof(float));
    weight_store_release(&s, second);
    weight_store_release(&s, larger);
    cr_assert_eq(weight_store_bytes(&s), 0);
    weight_store_destroy(&s);
}

static weight_store shared;

static void *pack_late(void *arg) {
    packed *p = arg;
    p->data[0] = 1;
    weight_store_done(&shared, p);
    return NULL;
}

Test(weights, are_waited_for) {
    pthread_t thread;
    weight_store_init(&shared);
    packed *p = get(&shared, weight_key_begin("conv"), 10, true);
    cr_assert_eq(p->data[0], 0);
    cr_assert_eq(pthread_create(&thread, NULL, pack_late, p), 0);
    weight_store_wait(&shared, p);
    cr_assert_eq(p->data[0], 1);
    pthread_join(thread, NULL);
    weight_store_release(&shared, p);
    weight_store_destroy(&shared);
}
