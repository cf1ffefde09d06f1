/* models.c: which models there are, and all about one of them. */
#include "handlers/app.h"
#include "models/describe.h"

#include <string.h>

/* What the list and the description of a model have in common. */
static void write_heading(json_writer *w, const app *a, const served_model *model) {
    cnn_tensor_info input = served_model_input(model), output = served_model_output(model);
    json_write_member_text(w, "name", served_model_name(model));
    json_write_member_text(w, "version", served_model_version_text(model));
    json_write_key(w, "default");
    json_write_bool(w, model_registry_is_default(a->registry, model));
    json_write_member_text(w, "origin", served_model_origin(model));
    json_write_member_text(w, "precision", served_model_precision(model));
    json_write_key(w, "input");
    json_write_tensor_info(w, &input);
    json_write_key(w, "output");
    json_write_tensor_info(w, &output);
    json_write_member_text(w, "activation", model_activation_name(served_model_activation(model)));
    json_write_member_uint(w, "classes", served_model_class_count(model));
}

static void write_memory(json_writer *w, served_model *model) {
    model_memory memory = served_model_memory(model);
    json_write_key(w, "memory");
    json_write_begin_object(w);
    json_write_member_uint(w, "weights_bytes", memory.weights_bytes);
    json_write_member_uint(w, "arena_bytes", memory.arena_bytes);
    json_write_member_uint(w, "session_bytes", memory.session_bytes);
    json_write_member_uint(w, "plans", memory.plans);
    json_write_member_uint(w, "sessions", memory.sessions);
    json_write_end_object(w);
}

static void write_versions(json_writer *w, const model_list *all, const char *name) {
    json_write_key(w, "versions");
    json_write_begin_array(w);
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(served_model_name(all->items[i]), name) == 0)
            json_write_text(w, served_model_version_text(all->items[i]));
    json_write_end_array(w);
}

static void write_description(json_writer *w, const app *a, served_model *model,
                              const cnn_summary *summary, const model_list *all) {
    json_write_begin_object(w);
    write_heading(w, a, model);
    write_versions(w, all, served_model_name(model));
    json_write_key(w, "preprocessing");
    json_write_preprocessing(w, served_model_spec(model));
    json_write_key(w, "scores");
    json_write_scores(w, served_model_scores(model));
    json_write_key(w, "warnings");
    json_write_warnings(w, served_model_warnings(model));
    write_memory(w, model);
    json_write_member_uint(w, "params", summary->params);
    json_write_member_uint(w, "macs", summary->macs);
    json_write_key(w, "labels");
    json_write_labels(w, model);
    json_write_key(w, "layers");
    json_write_layers(w, summary);
    json_write_key(w, "left_out");
    json_write_left_out(w, served_model_cnn(model));
    json_write_end_object(w);
    buffer_append_char(w->out, '\n');
}

static void write_list(json_writer *w, const app *a, const model_list *list) {
    json_write_begin_object(w);
    json_write_key(w, "models");
    json_write_begin_array(w);
    for (size_t i = 0; i < list->count; i++) {
        json_write_begin_object(w);
        write_heading(w, a, list->items[i]);
        json_write_end_object(w);
    }
    json_write_end_array(w);
    json_write_end_object(w);
    buffer_append_char(w->out, '\n');
}

void models_list(void *arg, http_exchange *x) {
    app *a = arg;
    json_writer w = {.out = &x->reply.body};
    model_list list = {0};
    model_error err;
    if (model_registry_list(a->registry, &list, &err) == MODEL_OK) {
        x->reply.status = 200;
        write_list(&w, a, &list);
    } else {
        app_reply_error(x, &err);
    }
    model_list_free(&list);
    http_complete(x);
}

static void describe(app *a, http_exchange *x, served_model *model) {
    json_writer w = {.out = &x->reply.body};
    const cnn_summary *summary;
    model_list all = {0};
    model_error err;
    model_code code = served_model_summary(model, &summary, &err);
    if (code == MODEL_OK) code = model_registry_list(a->registry, &all, &err);
    if (code == MODEL_OK) {
        x->reply.status = 200;
        write_description(&w, a, model, summary, &all);
    } else {
        app_reply_error(x, &err);
    }
    model_list_free(&all);
}

/* Pooled: the first time, the layers of a model are worked out. */
void models_describe(void *arg, http_exchange *x) {
    served_model *model;
    if (app_find_model(arg, x, &model)) {
        describe(arg, x, model);
        served_model_unref(model);
    }
    http_complete(x);
}
