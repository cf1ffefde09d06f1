/* table.h: tables of text with aligned columns, and numbers as people read them. */
#ifndef CNNSERVE_TABLE_H
#define CNNSERVE_TABLE_H

#include "common/buffer.h"

#include <cnn.h>

#define TABLE_MAX_COLUMNS 8

typedef struct table {
    size_t columns;
    const char *titles[TABLE_MAX_COLUMNS];
    bool right[TABLE_MAX_COLUMNS]; /* aligned to the right */
    buffer cells;                  /* each ends with a NUL; rows one after the other */
} table;

/* `right`: one character a column, 'r' for numbers. Ends with table_free. */
void table_init(table *t, size_t columns, const char *const *titles, const char *right);
/* The next cell, row by row; longer texts than TABLE_MAX_CELL are shortened in the middle. */
void table_add(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints title, rule, rows, rule to stdout. */
void table_print(const table *t);
void table_free(table *t);

#define TABLE_MAX_CELL 48

/* "1,234,567"; returns `text`. */
const char *text_grouped(uint64_t value, char *text, size_t size);
/* "1.23 M", "349.15 M", "4.12 G"; below 1000 the number itself. */
const char *text_scaled(double value, char *text, size_t size);
/* "12.3 MiB". */
const char *text_bytes(uint64_t bytes, char *text, size_t size);
/* "1x3x224x224", unknown extents as "?", rank 0 as "scalar", an unknown rank as "?". */
const char *text_shape(const cnn_shape *shape, char *text, size_t size);

#endif
