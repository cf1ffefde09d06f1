/* See cut.h: all cuts into up to MOST_CHUNKS per thread and axis are tried. */
#include "plan/cut.h"
#include "base/base.h"

#define MOST_CHUNKS 4
/* Taking a tile and starting its kernel, in cycles. */
#define TILE_CYCLES 1000.0
/* A thread may come late or be slowed down: the part of a tile that the others then wait for. */
#define LATE_PART 0.05

static double total(const plan_cut *c, size_t copies, int threads, double tile) {
    size_t tiles = copies * (size_t)c->row_chunks * (size_t)c->column_chunks;
    size_t rounds = DIV_UP(tiles, (size_t)threads);
    return (double)rounds * (tile + TILE_CYCLES) + (threads > 1 ? tile * LATE_PART : 0);
}

/* `units` in as equal parts as they go into about `chunks`. */
static int chunk_of(int units, int chunks, int *made) {
    int chunk = DIV_UP(units, chunks);
    *made = DIV_UP(units, chunk);
    return chunk;
}

plan_cut plan_cut_best(int rows, int columns, int most_rows, size_t copies, int threads,
                       plan_cut_cost *cost, const void *arg) {
    plan_cut best = {0};
    double least = 0;
    int most = threads == 1 ? 0 : threads * MOST_CHUNKS, first = DIV_UP(rows, most_rows);
    for (int i = first; i <= MIN(rows, first + most); i++)
        for (int j = 1; j <= MIN(columns, 1 + most); j++) {
            plan_cut c;
            c.row_chunk = chunk_of(rows, i, &c.row_chunks);
            c.column_chunk = chunk_of(columns, j, &c.column_chunks);
            double time = total(&c, copies, threads, cost(arg, c.row_chunk, c.column_chunk));
            if (best.row_chunks > 0 && time >= least) continue;
            best = c;
            least = time;
        }
    return best;
}
