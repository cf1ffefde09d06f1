/* Choice of a table. */
#include "support.h"

#include <criterion/criterion.h>
#include <string.h>

Test(select, best_is_the_last_available) {
    const kernel_table *all[4], *best = NULL;
    size_t count = kernels_available(all, 4);
    cr_assert_geq(count, 1);
    cr_assert_str_eq(all[0]->isa, "baseline");
    cr_assert_eq(kernels_select(NULL, &best, NULL), CNN_OK);
    cr_assert_eq(best, all[count - 1]);
}

Test(select, each_by_name) {
    const kernel_table *all[4];
    size_t count = kernels_available(all, 4);
    for (size_t i = 0; i < count; i++) {
        const kernel_table *one = NULL;
        cr_assert_eq(kernels_select(all[i]->isa, &one, NULL), CNN_OK);
        cr_assert_eq(one, all[i]);
    }
}

Test(select, every_entry_is_there) {
    const kernel_table *all[5];
    size_t count = kernels_available(all, 4);
    all[count++] = &kernels_reference;
    for (size_t i = 0; i < count; i++) {
#define X(type, name, params) cr_assert_not_null(all[i]->name);
        KERNEL_LIST(X)
#undef X
    }
}

Test(select, unknown_name) {
    const kernel_table *one = NULL;
    cnn_error err;
    cr_assert_eq(kernels_select("sse9", &one, &err), CNN_INVALID_ARGUMENT);
    cr_assert_null(one);
    cr_assert_not_null(strstr(err.message, "sse9"));
}
