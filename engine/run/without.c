/* See without.h. */
#include "run/without.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned flag;
} techniques[] = {
    {"channels", WITHOUT_CHANNELS},   {"fold", WITHOUT_FOLD},
    {"fuse", WITHOUT_FUSE},           {"grouped", WITHOUT_GROUPED},
    {"overwrite", WITHOUT_OVERWRITE}, {"placement", WITHOUT_PLACEMENT},
    {"planar", WITHOUT_PLANAR},       {"squeeze", WITHOUT_SQUEEZE},
    {"strips", WITHOUT_STRIPS},       {"winograd", WITHOUT_WINOGRAD},
};

static unsigned flag_of(const char *name, size_t length) {
    for (size_t i = 0; i < ARRAY_LENGTH(techniques); i++)
        if (strlen(techniques[i].name) == length && strncmp(techniques[i].name, name, length) == 0)
            return techniques[i].flag;
    return 0;
}

cnn_status without_read(const char *list, unsigned *out, cnn_error *err) {
    *out = 0;
    while (list && *list) {
        size_t length = strcspn(list, ",");
        unsigned flag = flag_of(list, length);
        if (!flag)
            return cnn_fail(err, CNN_INVALID_ARGUMENT,
                            "CNN_WITHOUT has '%.*s'; there are channels, fold, fuse, grouped, "
                            "overwrite, placement, planar, squeeze, strips and winograd",
                            (int)MIN(length, 40), list);
        *out |= flag;
        list += length + (list[length] == ',');
    }
    return CNN_OK;
}
