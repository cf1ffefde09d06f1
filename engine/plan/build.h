/* The planner's inside: what build.c, builder.c, layout.c and eval.c share. */
#ifndef PLAN_BUILD_H
#define PLAN_BUILD_H

#include "plan/builder.h"

/* Up to that many channels a convolution's input is stored without padding to 16 lanes. */
#define PLAN_NARROW_CHANNELS 4

/* `out` may take over the memory of `in` at that step. */
typedef struct overwrite {
    int step, in, out;
} overwrite;

/* A packing that is owed. */
typedef struct pack_job {
    void (*pack)(const void *arg, float *out);
    const void *arg; /* owned by the builder */
    packed *to;
    weight_store *store;
} pack_job;

/* Packs what is owed, also if planning has failed: other plans may wait for it. Then waits for what
 * others owe, and frees what the builder owns. */
void plan_pack_all(plan_builder *b);

/* Each adds one Reorder step and creates the form. */
cnn_status plan_reorder_to_plain(plan_builder *b, int value, cnn_error *err);
cnn_status plan_reorder_to_wide(plan_builder *b, int value, cnn_error *err);
/* The narrow form's buffer exists already. */
cnn_status plan_reorder_to_narrow(plan_builder *b, int value, cnn_error *err);

/* The place's memory is in use at that step. */
void plan_keep_alive(plan_builder *b, const plan_place *place, int step);
/* The pointer at byte `where` of the newest step's arguments points to byte `offset` of them. */
void plan_connect_self(plan_builder *b, size_t where, size_t offset);

#endif
