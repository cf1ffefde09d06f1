/* folder.h: temporary folders of models, made of a built-in model's files. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include "models/source.h"

/* A new folder, removed with everything in it by folder_remove. */
char *folder_create(void);
void folder_remove(char *path);
/* Writes a file, and the folders that its relative name asks for. */
void folder_write(const char *folder, const char *name, const void *bytes, size_t size);
void folder_write_text(const char *folder, const char *name, const char *text);
/* Copies file `from` of built-in model `model` to `to`. */
void folder_copy(const char *folder, const char *to, const char *model, const char *from);

/* A suite whose tests each have a new `folder`. */
#define FOLDER_SUITE(suite)                                                                        \
    static char *folder;                                                                           \
    static void make_folder(void) {                                                                \
        folder = folder_create();                                                                  \
    }                                                                                              \
    static void drop_folder(void) {                                                                \
        folder_remove(folder);                                                                     \
    }                                                                                              \
    TestSuite(suite, .init = make_folder, .fini = drop_folder)

/* A folder, or the name of a built-in model; it must be good. */
served_model *open_model(const char *spec);

/* The runtime of the test program: two threads. */
cnn_runtime *test_runtime(void);

#endif
