/*
 * What was found to be the fastest way to run a layer on this machine: a table from layers to
 * choices, kept in a text file if its owner wants that.
 *
 * The file's first line names the format and the CPU; with another first line it is begun anew. The
 * others are "ISA LAYER CHOICE", of which each ISA and LAYER is one word. Thread-safe.
 */
#ifndef RUN_TUNING_H
#define RUN_TUNING_H

#include "base/base.h"

/* "conv3x3 64 128 ..." as one word, for example "conv3x3:64x56x56:128". */
#define TUNING_MAX_LAYER 96

typedef struct tuning tuning;

/*
 * `path` NULL: no file. One that does not exist yet, is empty or of another CPU is begun at once.
 * CNN_IO if that does not work, if it cannot be read, or is no file of ours.
 */
cnn_status tuning_create(const char *path, tuning **out, cnn_error *err);
void tuning_free(tuning *t);

/* The choice for that layer; -1: none is known. */
int tuning_find(tuning *t, const char *isa, const char *layer);
/* `choice`: 0 to 999. Kept, and the file rewritten; what cannot be written is forgotten with the
 * process, and tuning_status says so. */
void tuning_add(tuning *t, const char *isa, const char *layer, int choice);
/* CNN_IO if the file could not be rewritten the last time; else CNN_OK. */
cnn_status tuning_status(tuning *t, cnn_error *err);

#endif
