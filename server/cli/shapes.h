/* shapes.h: --shape: the sizes at which a model is looked at. */
#ifndef CNNSERVE_SHAPES_H
#define CNNSERVE_SHAPES_H

#include "cli/options.h"

#include <cnn.h>

/* Inputs of a model that bench and inspect take. */
#define SHAPES_MAX 16

/* Entry of an option table; `values` is the struct with the field `shape`. */
#define CLI_SHAPE(values)                                                                          \
    {                                                                                              \
        .name = "shape", .type = OPTION_LIST, .offset = offsetof(values, shape),                   \
        .argument = "[NAME=]1x3x224x224",                                                          \
        .help = "shape of an input where the file leaves it open; repeatable"                      \
    }

/*
 * Sets shapes[i] of each input i of the model that `given` has an entry for: "1x3x224x224" of the
 * only input, "NAME=1x3x224x224" of one of several. False: one line on stderr says which entry is
 * wrong, or does not fit what the file fixes.
 */
bool shapes_read(const cnn_model *model, const option_list *given, cnn_shape *shapes);

/* The end of the engine's sentence about a shape that is missing or does not fit, else "". */
const char *shapes_hint(cnn_status status);

#endif
