/* See shapes.h. */
#include "cli/shapes.h"

#include "cli/cli.h"
#include "cli/table.h"
#include "common/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTENT_DIGITS 9 /* more make no extent that a tensor may have */

static bool fail(const char *entry, const char *why) {
    cli_fail(CLI_USAGE, "--shape '%.200s': %s", entry, why);
    return false;
}

/* "1x3x224x224" */
static bool read_extents(const char *entry, const char *text, cnn_shape *out) {
    cnn_shape shape = {0};
    for (bool more = true; more;) {
        size_t digits = strspn(text, "0123456789");
        if (shape.rank == CNN_MAX_RANK) return fail(entry, "a shape has at most 8 extents");
        if (digits == 0 || digits > EXTENT_DIGITS || strtol(text, NULL, 10) == 0)
            return fail(entry, "a shape is written 1x3x224x224, each extent a number from 1 on");
        shape.dims[shape.rank++] = strtol(text, NULL, 10);
        text += digits;
        more = *text == 'x';
        text += more;
    }
    if (*text) return fail(entry, "a shape is written 1x3x224x224, each extent a number from 1 on");
    *out = shape;
    return true;
}

static const char *input_name_at(const void *list, size_t index) {
    return cnn_model_input(list, index).name;
}

static bool is_named(const cnn_model *model, size_t input, const char *name, size_t length) {
    const char *own = cnn_model_input(model, input).name;
    return strlen(own) == length && memcmp(own, name, length) == 0;
}

/* The input that an entry is about; *extents: what follows its name. */
static bool find_input(const cnn_model *model, const char *entry, size_t *out,
                       const char **extents) {
    size_t count = cnn_model_input_count(model), input = 0;
    const char *equals = strrchr(entry, '=');
    size_t length = equals ? (size_t)(equals - entry) : 0;
    char name[200], near[400], why[700];
    snprintf(name, sizeof name, "%.*s", length < sizeof name ? (int)length : 0, entry);
    *extents = equals ? equals + 1 : entry;
    while (equals && input < count && !is_named(model, input, entry, length))
        input++;
    names_suggest(name, model, count, input_name_at, near, sizeof near);
    snprintf(why, sizeof why, "the model has no input '%s'%s", name, near);
    if (equals && input == count) return fail(entry, why);
    snprintf(why, sizeof why, "the model has %zu inputs, so write NAME=SHAPE%s", count, near);
    if (!equals && count != 1) return fail(entry, why);
    *out = input;
    return true;
}

static bool check_fits(const char *entry, const cnn_tensor_info *input, const cnn_shape *shape) {
    char declared[200], why[500];
    bool fits = input->shape.rank < 0 || input->shape.rank == shape->rank;
    for (int i = 0; fits && i < input->shape.rank; i++)
        fits = input->shape.dims[i] < 0 || input->shape.dims[i] == shape->dims[i];
    if (fits) return true;
    snprintf(why, sizeof why, "the file fixes input '%.100s' to %s", input->name,
             text_shape(&input->shape, declared, sizeof declared));
    return fail(entry, why);
}

bool shapes_read(const cnn_model *model, const option_list *given, cnn_shape *shapes) {
    bool seen[SHAPES_MAX] = {false};
    for (size_t i = 0; i < given->count; i++) {
        const char *entry = given->items[i], *extents;
        size_t input;
        cnn_shape shape;
        if (!find_input(model, entry, &input, &extents) || !read_extents(entry, extents, &shape))
            return false;
        if (input >= SHAPES_MAX) return fail(entry, "only 16 inputs are taken");
        if (seen[input]) return fail(entry, "the input has a shape already");
        cnn_tensor_info info = cnn_model_input(model, input);
        if (!check_fits(entry, &info, &shape)) return false;
        seen[input] = true;
        shapes[input] = shape;
    }
    return true;
}

const char *shapes_hint(cnn_status status) {
    return status == CNN_INVALID_ARGUMENT ? " (see --shape)" : "";
}
