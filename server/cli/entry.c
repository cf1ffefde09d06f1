/*
 * One classified image as text, JSON or CSV.
 *
 * JSON is written by the function that writes the server's answers. CSV follows RFC 4180, but for
 * its line ends, which are those of the system.
 */
#include "cli/entry.h"

#include "json/float_text.h"

#include <string.h>

const char *entry_head(entry_format format) {
    return format == ENTRY_CSV ? "image,rank,class_index,label,probability,error\n" : "";
}

/* ---- text --------------------------------------------------------------------------------- */

static void write_feature(buffer *out, const model_feature *feature) {
    channel_stats s = channel_stats_of(feature->data, feature->count);
    buffer_printf(out, "  feature %s  %s  ", feature->name, feature->op);
    for (int i = 0; i < feature->shape.rank; i++)
        buffer_printf(out, "%s%lld", i ? "x" : "", (long long)feature->shape.dims[i]);
    buffer_printf(out, "  min %.6g  max %.6g  mean %.6g  std %.6g  zeros %llu\n", s.min, s.max,
                  s.mean, s.std, (unsigned long long)s.zeros);
}

static void write_explanation(buffer *out, const model_explanation *e) {
    channel_stats s = channel_stats_of(e->values, (size_t)e->height * (size_t)e->width);
    buffer_printf(out, "  cam of %zu %s  %s  %dx%d  min %.6g  max %.6g\n", e->class_index, e->label,
                  e->tensor, e->height, e->width, s.min, s.max);
}

static void write_text(buffer *out, const char *path, const model_result *result) {
    const image_info *info = &result->image;
    buffer_printf(out, "%s  (%s, %dx%d)\n", path, info->format, info->width, info->height);
    for (size_t i = 0; i < result->prediction_count; i++) {
        const model_prediction *p = &result->predictions[i];
        buffer_printf(out, "  %-12.6g %4zu  %s\n", p->probability, p->class_index, p->label);
    }
    for (size_t i = 0; i < result->feature_count; i++)
        write_feature(out, &result->features[i]);
    if (result->explanation.values) write_explanation(out, &result->explanation);
}

/* ---- CSV ---------------------------------------------------------------------------------- */

static void write_field(buffer *out, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"') buffer_append_char(out, '"');
        buffer_append_char(out, *text);
    }
    buffer_append_char(out, '"');
}

static void write_csv(buffer *out, const char *path, const model_result *result) {
    char number[FLOAT_TEXT_ROOM];
    for (size_t i = 0; i < result->prediction_count; i++) {
        const model_prediction *p = &result->predictions[i];
        write_field(out, path);
        buffer_printf(out, ",%zu,%zu,", i + 1, p->class_index);
        write_field(out, p->label);
        buffer_append_char(out, ',');
        buffer_append(out, number, float_text(number, p->probability));
        buffer_append_text(out, ",\n");
    }
}

/* ---- any ---------------------------------------------------------------------------------- */

void entry_write(buffer *out, entry_format format, const feature_format *features, const char *path,
                 const model_result *result) {
    json_writer w = {.out = out};
    switch (format) {
    case ENTRY_TEXT:
        write_text(out, path, result);
        break;
    case ENTRY_JSON:
        json_write_result(&w, path, result, features);
        buffer_append_char(out, '\n');
        break;
    case ENTRY_CSV:
        write_csv(out, path, result);
        break;
    }
}

void entry_write_failure(buffer *out, entry_format format, const char *path, const char *message,
                         const char *code) {
    json_writer w = {.out = out};
    switch (format) {
    case ENTRY_TEXT:
        buffer_printf(out, "%s: error: %s\n", path, message);
        break;
    case ENTRY_JSON:
        json_write_failure(&w, path, message, code);
        buffer_append_char(out, '\n');
        break;
    case ENTRY_CSV:
        write_field(out, path);
        buffer_append_text(out, ",,,,,");
        write_field(out, message);
        buffer_append_char(out, '\n');
        break;
    }
}
