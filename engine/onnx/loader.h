/*
 * What the files that make a graph of a ModelProto share.
 *
 * A scope holds the nodes of one list of the file: the model's graph (the root), the body of a
 * function, written out for one call of it, or a branch of an If. All scopes make values and nodes
 * of the same graph. What the outputs need is found by walking back from them (loader_need,
 * loader_supply); only that is read, and scopes are opened only for it.
 *
 * What cannot be read refuses the values that it would make (graph_refuse), which is an error only
 * if all outputs of the model need them. So these functions fail with CNN_OUT_OF_MEMORY, and with
 * other statuses only where it is said.
 */
#ifndef ONNX_LOADER_H
#define ONNX_LOADER_H

#include "onnx/internal.h"
#include "ops/op.h"

#include <string.h>

/* Functions and branches within each other. */
#define LOADER_MAX_DEPTH 32

typedef struct scope scope;

/* A node of the file, as far as it has been read. */
typedef struct part {
    bool opened;
    graph_node **made; /* owned, until they are added to the graph */
    size_t made_count;
    scope *inner[2]; /* a function's body, or the branches then and else of an If; may be NULL */
    int refused[2];  /* the value that stands for a branch that cannot be opened; -1: none */
} part;

struct scope {
    const scope *outer;  /* where names are looked up that are not its own; NULL: nowhere */
    const scope *caller; /* in which the node stands that it is opened for; NULL: it is the root */
    const Onnx__FunctionProto *function; /* in whose body it is; NULL: in none */
    const Onnx__GraphProto *graph;       /* NULL: it is a function's body */
    Onnx__NodeProto **nodes;
    size_t node_count;
    part *parts;                    /* of the nodes */
    names values;                   /* by their names here; -1: an input that the call leaves out */
    Onnx__AttributeProto *bindings; /* the function's attributes, which borrow from the file */
    size_t binding_count;
    bool owns_bindings;
    char *prefix; /* before names, with a slash; NULL: none */
    int depth;
};

/* Where a value comes from: a node or an initializer of a scope, by number; -1: neither. */
typedef struct maker {
    scope *scope; /* every value has one */
    int node, initializer;
    bool needed;  /* by an output */
    bool dropped; /* only outputs that cannot be computed need it */
} maker;

typedef struct loader {
    Onnx__ModelProto *model;
    Onnx__GraphProto *proto;
    onnx_skeleton skeleton; /* empty: the message holds everything */
    onnx_source source;
    graph *g;
    size_t budget;   /* bytes that may still be allocated, see onnx.h */
    size_t inner;    /* nodes of the scopes other than the root */
    size_t renamed;  /* values so far that got another name */
    names taken;     /* of the graph's values */
    names functions; /* of the model, by keys */
    char **keys;     /* one for each function */
    maker *makers;   /* one for each value */
    size_t maker_capacity;
    int *needed; /* values whose makers are still to be read */
    size_t needed_count, needed_capacity;
    scope **scopes; /* all, the root first */
    size_t scope_count, scope_capacity;
    ProtobufCMessage **messages; /* graphs that were attributes */
    size_t message_count, message_capacity;
    cnn_error *err;
} loader;

/* ---- scope.c ---- */

/* `what` and `name` in messages. */
const char *loader_label(onnx_label label, const char *what, const char *name);
/* Takes bytes off the budget; CNN_LIMIT if it is too much. */
cnn_status loader_charge(loader *l, size_t bytes, cnn_error *err);
/* A scope of these nodes, or CNN_LIMIT. It belongs to the loader. */
cnn_status scope_create(loader *l, const scope *caller, Onnx__NodeProto **nodes, size_t count,
                        scope **out, cnn_error *err);
void scope_free(scope *s);
/* Adds a value under a name that must be new in the scope; else CNN_INVALID_MODEL or CNN_LIMIT. */
cnn_status scope_declare(loader *l, scope *s, const char *what, const char *name, int *out,
                         cnn_error *err);
/* Declares the outputs of all nodes, respectively the graph's initializers; fails likewise. */
cnn_status scope_declare_nodes(loader *l, scope *s, cnn_error *err);
cnn_status scope_declare_initializers(loader *l, scope *s, cnn_error *err);
cnn_status loader_check_name(const char *what, const char *name, cnn_error *err);
/* False: there is no such name. */
bool scope_find(const scope *s, const char *name, int *value);
/* A value that is not to be had. CNN_LIMIT if there is no room for it. */
cnn_status scope_add_refused(loader *l, scope *s, const cnn_error *why, int *out, cnn_error *err);
/* The node's name as the graph has it, "" if it has none. */
const char *scope_node_name(const scope *s, const Onnx__NodeProto *p,
                            char name[GRAPH_MAX_NAME_BYTES + 1]);
/* "node 'conv1'", "node of output 'x'" or "node 17", whatever the file gives. */
const char *scope_node_label(onnx_label label, const scope *s, size_t index);
/* An attribute with what the call of the function gives for it; borrows. False: it is left out. */
bool scope_attribute(const scope *s, const Onnx__AttributeProto *p, Onnx__AttributeProto *out);
/* The attribute of that name, likewise. */
bool scope_find_attribute(const scope *s, const Onnx__NodeProto *p, const char *name,
                          Onnx__AttributeProto *out);

/* ---- need.c ---- */

/* Notes that an output needs the value. */
cnn_status loader_need(loader *l, int value, cnn_error *err);
/* Reads what the needed values need, until nothing is missing. */
cnn_status loader_supply(loader *l);

/* ---- node.c: these fail with any status, if the node cannot be read. ---- */

/* Length of a list of names without the absent ones at its end. */
size_t loader_trimmed(char *const *list, size_t count);
cnn_status node_read(loader *l, scope *s, size_t index, cnn_error *err);
/* Adds a node to those that are made of the file's node; takes it over, also on failure. */
cnn_status node_keep(part *p, graph_node *node, cnn_error *err);
/* The number of a name among the inputs of a node; -1 for none. */
cnn_status node_input(const scope *s, size_t index, const char *name, int *out, cnn_error *err);

/* ---- inner.c: likewise ---- */

cnn_status functions_index(loader *l);
/* NULL: the node calls none. */
const Onnx__FunctionProto *function_of(const loader *l, const Onnx__NodeProto *p);
/* From then on nodes of the body make the call's outputs. */
cnn_status function_open(loader *l, scope *s, size_t index, const Onnx__FunctionProto *f,
                         cnn_error *err);
bool is_if(const Onnx__NodeProto *p);
cnn_status if_open(loader *l, scope *s, size_t index, cnn_error *err);
/* Makes the choice that gives `value`, an output of an If that is open. */
cnn_status if_choose(loader *l, scope *s, size_t index, int value, cnn_error *err);

static inline bool loader_is_default_domain(const char *domain) {
    return domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

#endif
