/* Temporary folders of models. */
#include "folder.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *folder_create(void) {
    char *path = strdup("/tmp/cnnserve-models-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    return path;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void folder_remove(char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

void folder_write(const char *folder, const char *name, const void *bytes, size_t size) {
    char path[512];
    int root = snprintf(path, sizeof path, "%s/", folder);
    snprintf(path + root, sizeof path - (size_t)root, "%s", name);
    for (char *slash = strchr(path + root, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

void folder_write_text(const char *folder, const char *name, const char *text) {
    folder_write(folder, name, text, strlen(text));
}

void folder_copy(const char *folder, const char *to, const char *model, const char *from) {
    for (const builtin_file *file = builtin_find(model)->files; file->name; file++)
        if (strcmp(file->name, from) == 0)
            folder_write(folder, to, file->bytes, (size_t)(file->end - file->bytes));
}

cnn_runtime *test_runtime(void) {
    static cnn_runtime *rt;
    cnn_runtime_options options = {.threads = 2};
    if (!rt) cr_assert_eq(cnn_runtime_create(&options, &rt, NULL), CNN_OK);
    return rt;
}

served_model *open_model(const char *spec) {
    served_model *model = NULL;
    model_error err = {0};
    cr_assert_eq(served_model_open(test_runtime(), spec, NULL, &model, &err), MODEL_OK, "%s: %s",
                 spec, err.message);
    return model;
}
