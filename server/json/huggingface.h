/*
 * huggingface.h: a model folder as Hugging Face's transformers and timm write it.
 *
 * config.json tells the classes and how their scores are to be read, preprocessor_config.json how
 * an image is prepared (timm: "pretrained_cfg" in config.json); a processor of several parts, with
 * its tokenizer, say, nests the images' part in either file of its own. The values are those that
 * the Pillow-based image processors of transformers 4 and 5 compute; where the two releases differ
 * in a default, the key has to be there.
 */
#ifndef CNNSERVE_HUGGINGFACE_H
#define CNNSERVE_HUGGINGFACE_H

#include "json/model_config.h"

#define HUGGINGFACE_CONFIG_FILE       "config.json"
#define HUGGINGFACE_PREPROCESSOR_FILE "preprocessor_config.json"
#define HUGGINGFACE_PROCESSOR_FILE    "processor_config.json"
/* Largest of each: config.json holds the labels twice. */
#define HUGGINGFACE_FILE_MAX ((size_t)8 << 20)

/* One of the files, as UTF-8; `text` NULL: it is not there. */
typedef struct huggingface_file {
    const char *text;
    size_t length;
} huggingface_file;

typedef struct huggingface_files {
    huggingface_file config, preprocessor, processor;
} huggingface_files;

/*
 * Where none of the files says anything about images, nothing is read and nothing wrong. False:
 * *blamed (a constant) is the name of the file that is wrong, `message` (of `size` bytes) says what
 * with.
 */
bool huggingface_read(const huggingface_files *files, model_config *out, const char **blamed,
                      char *message, size_t size);

#endif
