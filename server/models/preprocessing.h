/* preprocessing.h: from what the files of a folder say and what the graph says to an image_spec. */
#ifndef CNNSERVE_PREPROCESSING_H
#define CNNSERVE_PREPROCESSING_H

#include "models/models.h"
#include "json/model_config.h"

/* What the graph's input fixes. */
typedef struct graph_input {
    const char *name;
    image_layout layout;
    image_element element;
    int channels;      /* 1 or 3; -1: symbolic */
    int height, width; /* -1: symbolic */
} graph_input;

/* MODEL_UNFIT if the input takes no images: numbers, rank 4, one image at a time, 1 or 3 channels
 * first or last. */
model_code graph_input_read(const cnn_model *cnn, graph_input *out, model_error *err);

/*
 * Completes the spec with the defaults of the model-folder contract, and checks that config and
 * graph agree. *nominal_h and *nominal_w: the tensor's size if every image gives the same (*fixed),
 * otherwise one that a typical image may give.
 */
model_code preprocessing_resolve(const model_config *config, const graph_input *input,
                                 image_spec *out, bool *fixed, int *nominal_h, int *nominal_w,
                                 model_error *err);

/* Warns of what is possible but makes no sense: a picture in a black frame, values that mix the
 * units 0 to 1 and 0 to 255. */
void preprocessing_doubt(const image_spec *spec, model_warnings *warnings);

#endif
