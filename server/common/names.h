/* names.h: wildcards, and the names that a mistyped one may have meant. */
#ifndef CNNSERVE_NAMES_H
#define CNNSERVE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

bool name_has_wildcard(const char *pattern);
/* `*` stands for any run of bytes, also none, `?` for one byte. Takes length x length steps. */
bool name_matches(const char *pattern, const char *name);

/* Entry `index` of a list of names; NULL entries are passed over. */
typedef const char *name_at_fn(const void *list, size_t index);
/* For a list that is an array of strings. */
name_at_fn name_at_array;

/*
 * The entries of the list nearest to `name` by edit distance, letters' case ignored, nearest first;
 * entries that are too far are left out. Returns how many of `capacity` were set.
 */
size_t names_near(const char *name, const void *list, size_t count, name_at_fn *at,
                  const char **near, size_t capacity);
/*
 * Writes the end of an error sentence about `name`: "; did you mean 'a' or 'b'?", or, if none is
 * near, "; there are 'a', 'b', 'c' and 7 more", or "" for an empty list. Returns `buffer`.
 */
const char *names_suggest(const char *name, const void *list, size_t count, name_at_fn *at,
                          char *buffer, size_t size);

#endif
