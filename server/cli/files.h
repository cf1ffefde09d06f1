/* files.h: finding and reading the files that a subcommand is given. */
#ifndef CNNSERVE_FILES_H
#define CNNSERVE_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* Largest file that is read whole. */
#define FILES_MAX_BYTES ((size_t)1 << 30)

/* Paths, in the order in which they were found. Zero-initialise. */
typedef struct path_list {
    char **items; /* both owned */
    size_t count;
} path_list;

/* Adds a copy; false: out of memory. */
bool path_list_add(path_list *list, const char *path);
void path_list_free(path_list *list);

/* Whether an entry of a folder is wanted; `path` is a file, or a folder if `folder`. */
typedef bool files_wanted_fn(const char *path, bool folder);

/*
 * Adds `path` if it is wanted, and if it is a folder whatever is wanted in it and below: depth
 * first, entries in byte order, names that begin with a dot passed over. Symbolic links are
 * followed, those to a folder only if it is named itself. False: `message` says what cannot be
 * read.
 */
bool files_walk(const char *path, files_wanted_fn *wanted, path_list *list, char *message,
                size_t size);

/* As files_walk, of what lies in the folder itself; links to folders are followed. */
bool files_list(const char *folder, files_wanted_fn *wanted, path_list *list, char *message,
                size_t size);

/* The whole file, to be freed; NULL: `message` says why, and errno too where it is the reason. */
void *file_read(const char *path, size_t *bytes, char *message, size_t size);
/* The same of standard input, up to its end. */
void *stdin_read(size_t *bytes, char *message, size_t size);
/* "folder/name", to be freed; NULL: out of memory. */
char *path_join(const char *folder, const char *name);
/* Also true for a symbolic link to one. */
bool path_is_folder(const char *path);
bool path_is_file(const char *path);

#endif
