/*
 * Names: wildcards, and suggestions for mistyped ones.
 *
 * Suggestions use the edit distance of Levenshtein over lower-cased bytes. Long names are compared
 * by their first NAME_COMPARED bytes, so that the work for one entry is bounded whatever comes in.
 */
#include "common/names.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_COMPARED 64
#define NAME_NEAREST  3 /* names in a suggestion */
#define NAME_LISTED   8 /* names listed when none is near */

bool name_has_wildcard(const char *pattern) {
    return strpbrk(pattern, "*?") != NULL;
}

bool name_matches(const char *pattern, const char *name) {
    const char *star = NULL; /* the last * seen, and where in `name` its run ends */
    const char *resume = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) { /* let the * take one byte more */
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

const char *name_at_array(const void *list, size_t index) {
    return ((const char *const *)list)[index];
}

static size_t min3(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

static size_t edit_distance(const char *a, const char *b) {
    size_t length_a = strnlen(a, NAME_COMPARED), length_b = strnlen(b, NAME_COMPARED);
    size_t row[NAME_COMPARED + 1]; /* row[j]: from a's first i bytes to b's first j */
    for (size_t j = 0; j <= length_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t cost = min3(diagonal + (same ? 0 : 1), row[j] + 1, row[j - 1] + 1);
            diagonal = row[j];
            row[j] = cost;
        }
    }
    return row[length_b];
}

/* Edits between two names, or SIZE_MAX if they are too many to be a slip. A name that the other one
 * begins with counts as near. */
static size_t slip(const char *name, const char *entry) {
    size_t length = strnlen(name, NAME_COMPARED);
    if (length == 0) return SIZE_MAX;
    if (length >= 2 && strncasecmp(name, entry, length) == 0) return 1;
    size_t distance = edit_distance(name, entry), allowed = 1 + length / 4;
    return distance <= allowed ? distance : SIZE_MAX;
}

size_t names_near(const char *name, const void *list, size_t count, name_at_fn *at,
                  const char **near, size_t capacity) {
    size_t distances[NAME_LISTED], found = 0;
    if (capacity > NAME_LISTED) capacity = NAME_LISTED;
    for (size_t i = 0; i < count; i++) {
        const char *entry = at(list, i);
        size_t distance = entry ? slip(name, entry) : SIZE_MAX;
        if (distance == SIZE_MAX || capacity == 0 ||
            (found == capacity && distance >= distances[found - 1]))
            continue;
        size_t place = found < capacity ? found++ : found - 1;
        for (; place > 0 && distances[place - 1] > distance; place--) {
            distances[place] = distances[place - 1];
            near[place] = near[place - 1];
        }
        distances[place] = distance;
        near[place] = entry;
    }
    return found;
}

/* Appends formatted text as far as it fits. */
__attribute__((format(printf, 3, 4))) static void append(char *buffer, size_t size,
                                                         const char *format, ...) {
    size_t used = strlen(buffer);
    va_list args;
    va_start(args, format);
    vsnprintf(buffer + used, size - used, format, args);
    va_end(args);
}

static void list_names(const void *list, size_t count, name_at_fn *at, char *buffer, size_t size) {
    size_t named = 0, listed = 0;
    for (size_t i = 0; i < count; i++)
        named += at(list, i) != NULL;
    const char *before = named == 1 ? "; there is " : "; there are ";
    for (size_t i = 0; i < count && listed < NAME_LISTED; i++) {
        const char *entry = at(list, i);
        if (!entry) continue;
        append(buffer, size, "%s'%.64s'", before, entry);
        before = ", ";
        listed++;
    }
    if (named > listed) append(buffer, size, " and %zu more", named - listed);
}

const char *names_suggest(const char *name, const void *list, size_t count, name_at_fn *at,
                          char *buffer, size_t size) {
    const char *near[NAME_NEAREST];
    size_t found = names_near(name, list, count, at, near, NAME_NEAREST);
    buffer[0] = '\0';
    for (size_t i = 0; i < found; i++)
        append(buffer, size, "%s'%.64s'",
               i == 0           ? "; did you mean "
               : i + 1 == found ? " or "
                                : ", ",
               near[i]);
    if (found > 0)
        append(buffer, size, "?");
    else
        list_names(list, count, at, buffer, size);
    return buffer;
}
