/*
 * Sessions: an arena and the steps' arguments with every pointer filled in.
 *
 * A run walks the steps; each step's tiles go through the pool. Halos of a step's outputs are
 * cleared before its tiles run, because their memory may have held something else meanwhile.
 * Nothing is allocated once the session exists.
 */
#include "plan/plan.h"
#include "run/runtime.h"

#include <stdlib.h>
#include <string.h>

struct cnn_session {
    cnn_plan *plan; /* a reference */
    char *arena;
    void **args; /* one per step */
    uint64_t *profile;
};

static void *buffer_at(const cnn_session *s, int buffer, size_t offset) {
    return s->arena + plan_buffer_offset(s->plan, buffer) + offset;
}

static void *clone_args(const cnn_session *s, const plan_step *step) {
    char *args = cnn_alloc_aligned(step->args_size);
    if (!args) return NULL;
    memcpy(args, step->args, step->args_size);
    for (size_t i = 0; i < step->reloc_count; i++) {
        const reloc *r = &step->relocs[i];
        void *to = r->kind == RELOC_SELF ? args + r->offset : buffer_at(s, r->buffer, r->offset);
        memcpy(args + r->where, &to, sizeof(to));
    }
    return args;
}

void cnn_session_free(cnn_session *session) {
    if (!session) return;
    for (size_t i = 0; session->args && i < session->plan->step_count; i++)
        free(session->args[i]);
    free(session->args);
    free(session->arena);
    cnn_plan_free(session->plan);
    free(session);
}

cnn_status cnn_session_create(cnn_plan *plan, cnn_session **out, cnn_error *err) {
    if (!plan || !out) return cnn_fail(err, CNN_INVALID_ARGUMENT, "plan and out must be given");
    cnn_session *s = calloc(1, sizeof(*s));
    if (!s) return cnn_fail_memory(err, sizeof(*s));
    s->plan = plan_ref(plan);
    s->arena = cnn_alloc_aligned(plan->arena_bytes);
    s->args = calloc(plan->step_count + 1, sizeof(*s->args));
    bool ok = s->arena && s->args;
    /* Lanes beyond the channels must be finite from the first run on. */
    if (ok) memset(s->arena, 0, plan->arena_bytes);
    for (size_t i = 0; ok && i < plan->step_count; i++) {
        s->args[i] = clone_args(s, &plan->steps[i]);
        ok = s->args[i] != NULL;
    }
    if (!ok) {
        cnn_session_free(s);
        return cnn_fail_memory(err, plan->arena_bytes);
    }
    *out = s;
    return CNN_OK;
}

/* Zeros around every plane of a blocked activation whose first pixel is at `data`. */
static void clear_halo(const blocked *g, float *data) {
    size_t lanes = (size_t)g->lanes, inner = (size_t)g->w * lanes;
    size_t left = (size_t)g->left * lanes, right = (size_t)g->right * lanes;
    for (int n = 0; n < g->n; n++) {
        for (int b = 0; b < g->blocks; b++) {
            float *plane = data + (size_t)n * g->image_pitch + (size_t)b * g->block_pitch;
            float *row = plane - left;
            memset(row - (size_t)g->top * g->row_pitch, 0,
                   (size_t)g->top * g->row_pitch * sizeof(float));
            for (int y = 0; y < g->h; y++, row += g->row_pitch) {
                memset(row, 0, left * sizeof(float));
                memset(row + left + inner, 0, right * sizeof(float));
            }
            memset(row, 0, (size_t)g->bottom * g->row_pitch * sizeof(float));
        }
    }
}

static void run_step(const cnn_session *s, size_t index) {
    const plan_step *step = &s->plan->steps[index];
    for (size_t i = 0; i < step->halo_count; i++)
        clear_halo(&step->halos[i].geometry,
                   buffer_at(s, step->halos[i].buffer, step->halos[i].offset));
    pool_parallel_for(s->plan->runtime->pool, step->tiles, step->tile, s->args[index]);
}

static void run_steps(void *arg) {
    cnn_session *s = arg;
    uint64_t before = s->profile ? cnn_now_ns() : 0;
    for (size_t i = 0; i < s->plan->step_count; i++) {
        run_step(s, i);
        if (s->profile) {
            uint64_t now = cnn_now_ns();
            s->profile[i] += now - before;
            before = now;
        }
    }
}

void cnn_session_run(cnn_session *session) {
    pool_run(session->plan->runtime->pool, run_steps, session);
}

static void *port_data(const cnn_session *s, const plan_port *port) {
    return port->buffer < 0 ? (char *)port->constant + port->offset
                            : buffer_at(s, port->buffer, port->offset);
}

void *cnn_session_input(cnn_session *session, size_t index) {
    return port_data(session, &session->plan->inputs[index]);
}

const void *cnn_session_output(const cnn_session *session, size_t index) {
    return port_data(session, &session->plan->outputs[index]);
}

void cnn_session_profile(cnn_session *session, uint64_t *nanoseconds) {
    session->profile = nanoseconds;
}
