/* config_file.h: the file of --config: one JSON object whose keys are option names. */
#ifndef CNNSERVE_CONFIG_FILE_H
#define CNNSERVE_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Largest config file that is read. */
#define CONFIG_FILE_MAX ((size_t)1 << 20)

typedef struct config_entry {
    char *key;
    char *value; /* as one would type it: "20MiB", "8080", "true" */
} config_entry;

typedef struct config_entries {
    config_entry *items; /* in the file's order; an array gives one entry an element */
    size_t count;
} config_entries;

/* False: `message` (of `size` bytes) holds one sentence that names the file. */
bool config_file_read(const char *path, config_entries *out, char *message, size_t size);
/* Frees and zeroes. */
void config_entries_free(config_entries *entries);

#endif
