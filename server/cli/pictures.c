#include "cli/pictures.h"

#include "models/result.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the names of image and tensor in a file name; the ends of longer ones tell more. */
#define PART_MAX 110

/* Copies the end of `name` to `out`, of PART_MAX + 1 bytes. */
static const char *clean_name(const char *name, char *out) {
    size_t length = strlen(name);
    if (length > PART_MAX) name += length - PART_MAX;
    while (*name == '/' || (name[0] == '.' && (name[1] == '/' || name[1] == '.')))
        name++; /* "../a" and "/a" */
    size_t i = 0;
    for (; name[i]; i++)
        out[i] = isalnum((unsigned char)name[i]) || strchr("._-+=@%", name[i]) ? name[i] : '_';
    out[i] = '\0';
    return out;
}

static bool write_file(const char *folder, const char *source, const char *part,
                       const plot_png *png, char *message, size_t size) {
    char *path = NULL, first[PART_MAX + 1], second[PART_MAX + 1];
    if (asprintf(&path, "%s/%s.%s.png", folder, clean_name(source, first),
                 clean_name(part, second)) < 0) {
        snprintf(message, size, "out of memory");
        return false;
    }
    FILE *file = fopen(path, "wbe");
    bool written = file && fwrite(png->bytes, 1, png->size, file) == png->size;
    if (file && fclose(file) != 0) written = false;
    if (!written) snprintf(message, size, "'%.400s' cannot be written: %s", path, strerror(errno));
    free(path);
    return written;
}

bool pictures_write(const char *folder, const char *path, const model_result *result, char *message,
                    size_t size) {
    const model_explanation *explanation = &result->explanation;
    bool good = true;
    for (size_t i = 0; i < result->feature_count && good; i++) {
        plot_png png = {0};
        good = feature_draw(&result->features[i], &png);
        if (good)
            good = write_file(folder, path, result->features[i].name, &png, message, size);
        else
            snprintf(message, size, "there is no memory to draw '%.200s'",
                     result->features[i].name);
        free(png.bytes);
    }
    plot_png overlay = {explanation->png, explanation->png_size};
    if (good && explanation->values)
        good = write_file(folder, path, "cam", &overlay, message, size);
    return good;
}
