/* Tables of text with aligned columns, and numbers as people read them. */
#include "cli/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CELLS_MAX ((size_t)64 << 20)

void table_init(table *t, size_t columns, const char *const *titles, const char *right) {
    *t = (table){.columns = columns};
    buffer_init(&t->cells, CELLS_MAX);
    for (size_t i = 0; i < columns; i++) {
        t->titles[i] = titles[i];
        t->right[i] = right[i] == 'r';
    }
}

void table_free(table *t) {
    buffer_free(&t->cells);
}

void table_add(table *t, const char *format, ...) {
    char cell[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(cell, sizeof cell, format, args);
    va_end(args);
    size_t length = strlen(cell);
    if (length > TABLE_MAX_CELL) { /* keep both ends: names of layers differ in either */
        size_t half = (TABLE_MAX_CELL - 3) / 2;
        memcpy(cell + half, "...", 3);
        memmove(cell + half + 3, cell + length - half, half + 1);
    }
    buffer_append(&t->cells, cell, strlen(cell) + 1);
}

static void measure(const table *t, size_t *widths) {
    const char *end = t->cells.data + t->cells.size;
    for (size_t i = 0; i < t->columns; i++)
        widths[i] = strlen(t->titles[i]);
    size_t column = 0;
    for (const char *cell = t->cells.data; cell < end; cell += strlen(cell) + 1) {
        size_t length = strlen(cell);
        if (length > widths[column]) widths[column] = length;
        column = (column + 1) % t->columns;
    }
}

static void print_cell(const table *t, size_t column, const char *text, const size_t *widths) {
    bool last = column + 1 == t->columns;
    int width = t->right[column] ? (int)widths[column] : last ? 0 : -(int)widths[column];
    printf("%*s%s", width, text, last ? "\n" : "  ");
}

static void print_rule(const table *t, const size_t *widths, char dash) {
    size_t width = 2 * (t->columns - 1);
    for (size_t i = 0; i < t->columns; i++)
        width += widths[i];
    while (width-- > 0)
        putchar(dash);
    putchar('\n');
}

void table_print(const table *t) {
    size_t widths[TABLE_MAX_COLUMNS], column = 0;
    const char *end = t->cells.data + t->cells.size;
    assert(t->columns > 0);
    measure(t, widths);
    for (size_t i = 0; i < t->columns; i++)
        print_cell(t, i, t->titles[i], widths);
    print_rule(t, widths, '=');
    for (const char *cell = t->cells.data; cell < end; cell += strlen(cell) + 1) {
        print_cell(t, column, cell, widths);
        column = (column + 1) % t->columns;
    }
    print_rule(t, widths, '=');
}

const char *text_grouped(uint64_t value, char *text, size_t size) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

const char *text_scaled(double value, char *text, size_t size) {
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    snprintf(text, size, unit ? "%.2f%s" : "%.0f%s", value, units[unit]);
    return text;
}

const char *text_bytes(uint64_t bytes, char *text, size_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *text_shape(const cnn_shape *shape, char *text, size_t size) {
    size_t used = 0;
    snprintf(text, size, "%s", shape->rank < 0 ? "?" : "scalar");
    for (int i = 0; i < shape->rank && used < size; i++) {
        const char *x = i ? "x" : "";
        int n = shape->dims[i] < 0
                    ? snprintf(text + used, size - used, "%s?", x)
                    : snprintf(text + used, size - used, "%s%lld", x, (long long)shape->dims[i]);
        used += (size_t)n;
    }
    return text;
}
