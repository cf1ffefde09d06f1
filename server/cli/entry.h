/* entry.h: one classified image as text, JSON or CSV. */
#ifndef CNNSERVE_ENTRY_H
#define CNNSERVE_ENTRY_H

#include "common/buffer.h"
#include "models/models.h"
#include "models/result.h"

typedef enum entry_format { ENTRY_TEXT, ENTRY_JSON, ENTRY_CSV } entry_format;

/* What stands before the first entry; "" for most. */
const char *entry_head(entry_format format);
/* One or more whole lines. */
void entry_write(buffer *out, entry_format format, const feature_format *features, const char *path,
                 const model_result *result);
/* `code`: the word of a failure_kind. */
void entry_write_failure(buffer *out, entry_format format, const char *path, const char *message,
                         const char *code);

#endif
