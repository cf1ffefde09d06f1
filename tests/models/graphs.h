/* graphs.h: small ONNX graphs for folders of models. */
#ifndef TESTS_GRAPHS_H
#define TESTS_GRAPHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * image (1, 3, 8, 8) -> GlobalAveragePool -> mean, then one node for each of `ops`, each named and
 * fed by the one before; node i is called node0, node1, ... and makes tensor t0, t1, .... Reshape
 * and Squeeze get the constant input that they need. Writes the file `name` into `folder`.
 */
void graph_write_chain(const char *folder, const char *name, const char *const *ops, size_t count);
/* image (1, 3, H, W) of any size -> Conv 1x1 -> (1, channels, H, W) -> GlobalAveragePool. */
void graph_write_wide(const char *folder, const char *name, int channels);
/* As optimum exports a model: every extent of pixel_values is symbolic. Logit i is the mean of
 * channel i modulo `channels`. */
void graph_write_exported(const char *folder, const char *name, int channels, int classes);

/* What it is fed: x, of any element type and shape (rank below 0: of none), is cast and flattened
 * to scores, one an element. */
void graph_write_fed(const char *folder, const char *name, int dtype, int rank,
                     const int64_t *dims);

/* x (1, 3, 224, 224) of float16 -> Conv -> GlobalAveragePool -> scores (1, 64). */
void graph_write_half(const char *folder, const char *name);

/*
 * image (1, 3, 1, 1) -> features (1, 3) -> z (1, classes), which are `logits` whatever the image;
 * then `nodes` (see add_nodes), which may read the constants k (2), hundred, half and zero (uint8).
 * `outputs` are tensors of any type, separated by spaces.
 */
void graph_write_heads(const char *folder, size_t classes, const float *logits, const char *nodes,
                       const char *outputs);

/*
 * A network with a class activation map: image (1, 3, 4, 4) -> Relu -> features ->
 * GlobalAveragePool (or Transpose -> ReduceMean, as Keras' exporter writes it) -> Flatten -> Gemm
 * -> scores (1, 2). Class 0 weighs the channels by 1, 0 and -1, class 1 by 0.5, 2 and 0; `bias` is
 * added to the scores. With a model.json that feeds pixels as they are.
 */
void graph_write_averaging(const char *folder, const float bias[2], bool channels_last);

/*
 * image (1, 3, 4, 4) -> Relu -> seen -> If, by its extents -> scores (1, 3): one branch makes them
 * of `seen` by a Relu (inner) and GlobalAveragePool, the other one by GlobalAveragePool alone.
 */
void graph_write_branches(const char *folder);

#endif
