/* Walking folders and reading files and standard input, for classify and verify. */
#include "cli/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Depth of folders below which nothing is looked for. */
#define FILES_MAX_DEPTH 64

#define STDIN_FIRST_BYTES ((size_t)64 << 10)

bool path_list_add(path_list *list, const char *path) {
    if ((list->count & (list->count - 1)) == 0) { /* full at powers of two */
        size_t capacity = list->count ? 2 * list->count : 1;
        char **items = realloc(list->items, capacity * sizeof *items);
        if (!items) return false;
        list->items = items;
    }
    char *copy = strdup(path);
    if (copy) list->items[list->count++] = copy;
    return copy != NULL;
}

void path_list_free(path_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (path_list){0};
}

char *path_join(const char *folder, const char *name) {
    size_t length = strlen(folder);
    char *path;
    const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
    return asprintf(&path, "%s%s%s", folder, slash, name) < 0 ? NULL : path;
}

bool path_is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool path_is_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* ---- walking ------------------------------------------------------------------------------ */

typedef struct walk {
    files_wanted_fn *wanted;
    path_list *list;
    char *message;
    size_t size;
} walk;

typedef bool entry_fn(walk *w, const char *path, int depth);

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add_wanted(walk *w, const char *path, bool folder) {
    if (!w->wanted(path, folder) || path_list_add(w->list, path)) return true;
    snprintf(w->message, w->size, "out of memory");
    return false;
}

/* Calls `visit` for every entry of a folder; false: a message is set. */
static bool each_entry(walk *w, const char *folder, int depth, entry_fn *visit) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, visible, by_bytes);
    if (count < 0) {
        snprintf(w->message, w->size, "folder '%.400s' cannot be read: %s", folder,
                 strerror(errno));
        return false;
    }
    bool ok = true;
    for (int i = 0; i < count; i++) {
        char *path = ok ? path_join(folder, entries[i]->d_name) : NULL;
        if (ok && !path) snprintf(w->message, w->size, "out of memory");
        ok = path && visit(w, path, depth);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static bool walk_entry(walk *w, const char *path, int depth) {
    struct stat link, status;
    if (lstat(path, &link) != 0 || stat(path, &status) != 0)
        return true; /* gone, or a link that leads nowhere */
    bool folder = S_ISDIR(status.st_mode);
    if (folder && S_ISLNK(link.st_mode)) return true; /* it may lead back here */
    if (!folder && !S_ISREG(status.st_mode)) return true;
    if (!add_wanted(w, path, folder)) return false;
    return !folder || depth == FILES_MAX_DEPTH || each_entry(w, path, depth + 1, walk_entry);
}

bool files_walk(const char *path, files_wanted_fn *wanted, path_list *list, char *message,
                size_t size) {
    walk w = {wanted, list, message, size};
    bool folder = path_is_folder(path);
    return add_wanted(&w, path, folder) && (!folder || each_entry(&w, path, 0, walk_entry));
}

static bool list_entry(walk *w, const char *path, int depth) {
    (void)depth;
    return add_wanted(w, path, path_is_folder(path));
}

bool files_list(const char *folder, files_wanted_fn *wanted, path_list *list, char *message,
                size_t size) {
    walk w = {wanted, list, message, size};
    return each_entry(&w, folder, 0, list_entry);
}

/* ---- reading ------------------------------------------------------------------------------ */

static void *read_open(FILE *file, size_t *bytes, char *message, size_t size) {
    struct stat status;
    if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) {
        errno = 0;
        snprintf(message, size, "it is no file");
        return NULL;
    }
    if ((size_t)status.st_size > FILES_MAX_BYTES) {
        errno = 0;
        snprintf(message, size, "it is larger than %zu bytes", FILES_MAX_BYTES);
        return NULL;
    }
    char *content = malloc((size_t)status.st_size + 1);
    *bytes = content ? fread(content, 1, (size_t)status.st_size, file) : 0;
    if (content && !ferror(file)) return content;
    snprintf(message, size, "%s", strerror(errno));
    free(content);
    return NULL;
}

void *file_read(const char *path, size_t *bytes, char *message, size_t size) {
    FILE *file = fopen(path, "rbe");
    if (!file) {
        snprintf(message, size, "%s", strerror(errno));
        return NULL;
    }
    void *content = read_open(file, bytes, message, size);
    int reason = errno;
    fclose(file);
    errno = reason;
    return content;
}

/* One byte more than is allowed, so that too much is seen. */
void *stdin_read(size_t *bytes, char *message, size_t size) {
    char *content = NULL;
    size_t used = 0, capacity = 0, got = 1;
    while (got > 0 && used <= FILES_MAX_BYTES) {
        if (used == capacity) {
            capacity = capacity ? 2 * capacity : STDIN_FIRST_BYTES;
            char *larger = realloc(content, capacity);
            if (!larger) break;
            content = larger;
        }
        got = fread(content + used, 1, capacity - used, stdin);
        used += got;
    }
    if (got == 0 && !ferror(stdin) && used <= FILES_MAX_BYTES) {
        *bytes = used;
        return content;
    }
    const char *reason = ferror(stdin) ? strerror(errno) : "out of memory";
    if (used > FILES_MAX_BYTES)
        snprintf(message, size, "it is larger than %zu bytes", FILES_MAX_BYTES);
    else
        snprintf(message, size, "%s", reason);
    errno = 0;
    free(content);
    return NULL;
}
