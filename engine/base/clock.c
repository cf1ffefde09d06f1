/* The clock that profiles are measured with. */
#include "base/base.h"

#include <time.h>

uint64_t cnn_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
