/*
 * source.h: where the files of one model version are: a folder, or the program itself.
 */
#ifndef CNNSERVE_SOURCE_H
#define CNNSERVE_SOURCE_H

#include "models/models.h"

/* One file that is built into the program. */
typedef struct builtin_file {
    const char *name;
    const unsigned char *bytes, *end;
} builtin_file;

/* A model folder that is built into the program; the list of files ends with a NULL name. */
typedef struct builtin_model {
    const char *name;
    const builtin_file *files;
} builtin_model;

/* Written by CMake (builtin.cmake); ordered by name, ends with a NULL name. */
extern const builtin_model builtin_models[];

typedef struct model_source {
    char *name; /* of the model */
    int64_t version;
    char *folder; /* of the description; NULL: built in */
    char *graph;  /* the graph's file in the folder: "model.onnx", "onnx/model_fp16.onnx" */
    bool config;  /* model.json and labels in the folder belong to it */
    const builtin_model *builtin;
} model_source;

/* A file's content: owned (`memory`), or part of the program (`memory` NULL). */
typedef struct source_file {
    const char *bytes; /* NULL: there is no such file */
    size_t size;
    void *memory;
} source_file;

/*
 * Reads a whole file. A file that is not there is no failure: `bytes` stays NULL. MODEL_INVALID
 * if it cannot be read or is larger than `limit`.
 */
model_code source_read(const model_source *source, const char *name, size_t limit, source_file *out,
                       model_error *err);
/* The same of a text file, as UTF-8: see common/text.h. */
model_code source_read_text(const model_source *source, const char *name, size_t limit,
                            source_file *out, model_error *err);
void source_file_free(source_file *file);
/* Loads the graph. */
model_code source_load_graph(const model_source *source, cnn_runtime *rt, cnn_model **out,
                             model_error *err);
/* "models/resnet/2/model.json", or "model.json of built-in model 'digits'". Returns `buffer`. */
const char *source_describe(const model_source *source, const char *file, char *buffer,
                            size_t size);
void source_free(model_source *source);
/* There is a regular file `name` in `folder`. */
bool folder_has(const char *folder, const char *name);

typedef struct source_list {
    model_source *items;
    size_t count;
    model_warnings warnings; /* what was found and is no model */
} source_list;

void source_list_free(source_list *list);

/*
 * The versions of the model at `path`: a folder with model.onnx (version 1), with
 * VERSION/model.onnx, or an .onnx file; instead of model.onnx a folder may have onnx/model.onnx, as
 * Hugging Face's repositories do. Appends to `list`, versions ascending. A folder that holds none:
 * appends nothing. What only looks like a version becomes a warning of the list.
 */
model_code sources_of_path(const char *name, const char *path, source_list *list, model_error *err);
/* The models in the folders of `directory`, by name. What else is in it and is not hidden becomes a
 * warning of the list. */
model_code sources_of_directory(const char *directory, source_list *list, model_error *err);
/*
 * What the command line calls MODEL: a built-in name, which wins over a folder of that name, or a
 * path as above. `name` NULL: the one that `spec` gives. MODEL_INVALID if there is no model.
 */
model_code sources_of_spec(const char *name, const char *spec, source_list *list, model_error *err);
const builtin_model *builtin_find(const char *name); /* NULL: there is none */
/* MODEL_INVALID unless it is [A-Za-z0-9][A-Za-z0-9._-]* and at most MODEL_NAME_MAX long. */
model_code model_name_check(const char *name, model_error *err);
/* The name that a path gives: of the folder, or of the file without ".onnx". Caller frees. */
char *source_name_of_path(const char *path);

#endif
