/* Exchanges without a socket: a request is filled in, a handler called, the reply waited for. */
#ifndef HANDLERS_SUPPORT_H
#define HANDLERS_SUPPORT_H

#include "handlers/app.h"

/* A picture of a 1, 28 x 28, as PNG. */
extern const unsigned char one_png[];
extern const size_t one_png_size;

/* The built-in models on a runtime of two threads. */
extern app test_app;
void app_start(void);
void app_stop(void);

/* One request at a time. Starts with POST /v1/classify and an empty body. */
extern http_exchange x;
void request_start(void);
void request_stop(void);
void request_target(const char *method, const char *target);
void request_type(const char *content_type);
void request_body(const void *bytes, size_t size);

/* Routes the request, runs its handler on a worker and waits; the reply is x.reply, its body also
 * text. */
void request_run(void);
/* The body ends in a NUL that does not count. */
const char *reply_text(void);
void expect_error(int status, const char *code, const char *part);

#endif
