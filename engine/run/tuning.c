/* See tuning.h. */
#include "run/tuning.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER      "cnnserve tuning 1 on "
#define MAX_ISA     16
#define MAX_ENTRIES 65536
#define MAX_LINE    256

typedef struct entry {
    char isa[MAX_ISA], layer[TUNING_MAX_LAYER];
    int choice;
} entry;

struct tuning {
    char *path; /* NULL: no file */
    char header[MAX_LINE];
    pthread_mutex_t lock; /* guards what follows */
    entry *entries;
    size_t count, capacity;
    int write_errno; /* of the last attempt; 0: it worked */
};

/* The first processor's name as the kernel has it. */
static void read_cpu(char *name, size_t size) {
    char line[MAX_LINE];
    snprintf(name, size, "an unknown CPU");
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " "));
        name[strcspn(name, "\n")] = 0;
        break;
    }
    if (f) fclose(f);
}

/* ---- the table ---- */

static entry *find(tuning *t, const char *isa, const char *layer) {
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->entries[i].isa, isa) == 0 && strcmp(t->entries[i].layer, layer) == 0)
            return &t->entries[i];
    return NULL;
}

/* Called with the lock held. */
static void put(tuning *t, const char *isa, const char *layer, int choice) {
    entry *e = find(t, isa, layer);
    if (!e) {
        if (t->count == MAX_ENTRIES ||
            !cnn_grow((void **)&t->entries, &t->capacity, t->count + 1, sizeof *t->entries))
            return;
        e = &t->entries[t->count++];
    }
    snprintf(e->isa, sizeof e->isa, "%s", isa);
    snprintf(e->layer, sizeof e->layer, "%s", layer);
    e->choice = choice;
}

/* ---- the file ---- */

static void read_entries(tuning *t, FILE *f) {
    char line[MAX_LINE], isa[MAX_ISA], layer[TUNING_MAX_LAYER], end;
    int choice;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%15s %95s %3d %c", isa, layer, &choice, &end) == 3 && choice >= 0)
            put(t, isa, layer, choice);
}

/* Sets *known if the file is one of this CPU. */
static cnn_status read_file(tuning *t, bool *known, cnn_error *err) {
    char line[MAX_LINE] = "";
    FILE *f = fopen(t->path, "re");
    if (!f && errno == ENOENT) return CNN_OK;
    bool read = f && fgets(line, sizeof line, f);
    bool failed = !f || ferror(f);
    int reason = errno;
    line[strcspn(line, "\n")] = 0;
    bool ours = read && strncmp(line, HEADER, strlen(HEADER)) == 0;
    *known = ours && strcmp(line, t->header) == 0;
    if (*known) read_entries(t, f);
    if (f) fclose(f);
    if (failed) return cnn_fail(err, CNN_IO, "tuning file %.300s: %s", t->path, strerror(reason));
    if (read && !ours)
        return cnn_fail(err, CNN_IO, "%.300s is no tuning file: it does not begin with '%s'",
                        t->path, HEADER);
    return CNN_OK;
}

static bool write_entries(const tuning *t, FILE *f) {
    bool ok = fprintf(f, "%s\n", t->header) > 0;
    for (size_t i = 0; i < t->count && ok; i++) {
        const entry *e = &t->entries[i];
        ok = fprintf(f, "%s %s %d\n", e->isa, e->layer, e->choice) > 0;
    }
    return ok;
}

/* By way of a second file, of which no other process knows, so that whoever reads or writes
 * meanwhile finds a whole one. */
static bool replace_file(const tuning *t, char *path) {
    int fd = mkostemp(path, O_CLOEXEC);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f && fd >= 0) close(fd);
    bool ok = f && fchmod(fd, 0644) == 0 && write_entries(t, f);
    ok = (!f || fclose(f) == 0) && ok && rename(path, t->path) == 0;
    int reason = errno;
    if (!ok && fd >= 0) remove(path);
    errno = reason;
    return ok;
}

static void write_file(tuning *t) {
    char *path = NULL;
    bool ok = asprintf(&path, "%s.XXXXXX", t->path) >= 0 && replace_file(t, path);
    t->write_errno = ok ? 0 : errno ? errno : EIO;
    free(path);
}

static cnn_status open_file(tuning *t, cnn_error *err) {
    bool known = false;
    cnn_status status = read_file(t, &known, err);
    if (status != CNN_OK || known) return status;
    write_file(t);
    return tuning_status(t, err);
}

/* ---- in and out ---- */

cnn_status tuning_create(const char *path, tuning **out, cnn_error *err) {
    tuning *t = calloc(1, sizeof *t);
    if (!t) return cnn_fail_memory(err, sizeof *t);
    char cpu[MAX_LINE - sizeof HEADER];
    read_cpu(cpu, sizeof cpu);
    snprintf(t->header, sizeof t->header, HEADER "%s", cpu);
    pthread_mutex_init(&t->lock, NULL);
    cnn_status status = CNN_OK;
    if (path) {
        t->path = strdup(path);
        status = t->path ? open_file(t, err) : cnn_fail_memory(err, strlen(path) + 1);
    }
    if (status == CNN_OK)
        *out = t;
    else
        tuning_free(t);
    return status;
}

void tuning_free(tuning *t) {
    if (!t) return;
    pthread_mutex_destroy(&t->lock);
    free(t->entries);
    free(t->path);
    free(t);
}

int tuning_find(tuning *t, const char *isa, const char *layer) {
    pthread_mutex_lock(&t->lock);
    const entry *e = find(t, isa, layer);
    int choice = e ? e->choice : -1;
    pthread_mutex_unlock(&t->lock);
    return choice;
}

void tuning_add(tuning *t, const char *isa, const char *layer, int choice) {
    pthread_mutex_lock(&t->lock);
    put(t, isa, layer, choice);
    if (t->path) write_file(t);
    pthread_mutex_unlock(&t->lock);
}

cnn_status tuning_status(tuning *t, cnn_error *err) {
    pthread_mutex_lock(&t->lock);
    int reason = t->write_errno;
    pthread_mutex_unlock(&t->lock);
    if (reason == 0) return CNN_OK;
    return cnn_fail(err, CNN_IO, "tuning file %.300s cannot be written: %s", t->path,
                    strerror(reason));
}
