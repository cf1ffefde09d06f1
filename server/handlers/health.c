/* health.c: is the process alive, and should it be sent requests? */
#include "handlers/app.h"

static void reply_status(http_exchange *x, const char *status) {
    x->reply.status = 200;
    buffer_printf(&x->reply.body, "{\"status\":\"%s\"}\n", status);
    http_complete(x);
}

void health_live(void *arg, http_exchange *x) {
    (void)arg;
    reply_status(x, "alive");
}

/* Models are loaded before the server listens; so what can be asked is ready until it is to stop.
 */
void health_ready(void *arg, http_exchange *x) {
    app *a = arg;
    if (atomic_load(&a->draining))
        http_fail(x, 503, "draining", "the server is about to stop");
    else
        reply_status(x, "ready");
}
