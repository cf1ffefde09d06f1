/*
 * Which tables of kernels run on this machine: the baseline first, then whatever the CPU has and
 * the operating system saves (__builtin_cpu_supports checks both).
 */
#include "kernels/kernels.h"

#include <string.h>

extern const kernel_table kernels_baseline;
#ifdef KERNELS_X86
extern const kernel_table kernels_avx2, kernels_avx512;
#endif

/* Every table of this architecture, weakest first, and which of them run. */
typedef struct kernel_level {
    const kernel_table *table;
    bool runs;
} kernel_level;

#define KERNEL_LEVELS 3

static size_t kernel_levels(kernel_level levels[KERNEL_LEVELS]) {
    size_t count = 0;
    levels[count++] = (kernel_level){&kernels_baseline, true};
#ifdef KERNELS_X86
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    levels[count++] = (kernel_level){&kernels_avx2, avx2};
    levels[count++] = (kernel_level){&kernels_avx512, avx512};
#endif
    return count;
}

size_t kernels_available(const kernel_table **out, size_t capacity) {
    kernel_level levels[KERNEL_LEVELS];
    size_t known = kernel_levels(levels), count = 0;
    for (size_t i = 0; i < known; i++)
        if (levels[i].runs && count < capacity) out[count++] = levels[i].table;
    return count;
}

cnn_status kernels_select(const char *isa, const kernel_table **out, cnn_error *err) {
    kernel_level levels[KERNEL_LEVELS];
    size_t known = kernel_levels(levels);
    const kernel_table *best = NULL;
    for (size_t i = 0; i < known; i++) {
        bool named = isa && strcmp(isa, levels[i].table->isa) == 0;
        if (named && !levels[i].runs)
            return cnn_fail(err, CNN_UNSUPPORTED, "this machine has no %s instructions", isa);
        if (levels[i].runs && (!isa || named)) best = levels[i].table;
    }
    if (!best)
        return cnn_fail(err, CNN_INVALID_ARGUMENT,
                        "unknown instruction set '%s' (baseline, avx2, avx512)", isa);
    *out = best;
    return CNN_OK;
}
