/* headers.h: the headers of every reply, and CORS. */
#ifndef CNNSERVE_HEADERS_H
#define CNNSERVE_HEADERS_H

#include "http/http.h"

/* X-Request-Id of the client if it sent a sane one, else a new one. Fills request->id. */
void headers_choose_id(http_request *request);

typedef void headers_emit(void *arg, const char *name, const char *value);
/* Gives `emit` each header of the reply but Date, Content-Length and Connection. `cors_origin` as
 * in http_options. */
void headers_each(http_exchange *x, const char *cors_origin, headers_emit *emit, void *arg);
/* Adds to the reply of an OPTIONS request what a browser asks for before a request from another
 * origin; `allow` lists the methods of the path. */
void headers_preflight(http_exchange *x, const char *cors_origin, const char *allow);

#endif
