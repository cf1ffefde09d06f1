/*
 * Which output of a graph holds the class scores, and what is to be done to them.
 *
 * The engine says of each output what its values mean and which tensor holds the scores behind it.
 * Of those that fit (a vector of floats) the files beside the graph choose, by name or by the
 * number of labels; else what the values mean, else the order. Probabilities are taken as they are;
 * others are logits, of which softmax makes probabilities, or sigmoid of a single one.
 *
 * What was taken for logits may be probabilities all the same, made in a way that the engine does
 * not know. So the first answers are looked at: logits are hardly ever all between 0 and 1.
 */
#include "models/scores.h"

#include "common/buffer.h"
#include "common/names.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One graph output. */
typedef struct candidate {
    const char *name;
    cnn_output_meaning *meaning; /* NULL: not known */
    size_t tensor;               /* index of the tensor that holds the scores */
    size_t classes;              /* 0: it does not fit */
} candidate;

typedef struct candidates {
    candidate *items;
    size_t count;
    cnn_error why; /* the first output whose meaning is not known */
} candidates;

/* ---- what there is ------------------------------------------------------------------------ */

static const char *output_name_at(const void *list, size_t index) {
    return ((const candidate *)list)[index].name;
}

static size_t find_tensor(const served_model *model, const char *name) {
    size_t tensor = 0;
    while (tensor < model->tensor_count && strcmp(model->tensors[tensor].name, name) != 0)
        tensor++;
    return tensor;
}

/* MODEL_OK also if it does not fit. */
static model_code examine(const served_model *model, size_t output, candidates *all,
                          model_error *err) {
    cnn_error why = {0};
    candidate *it = &all->items[output];
    cnn_shape input = served_model_nominal(model);
    cnn_status status = cnn_output_meaning_find(model->cnn, output, &input, &it->meaning, &why);
    if (status == CNN_OUT_OF_MEMORY) return model_fail_memory(err);
    if (status == CNN_IO) return model_fail(err, MODEL_INTERNAL, "%s", why.message);
    if (status != CNN_OK) {
        if (all->why.status == CNN_OK) all->why = why;
        return MODEL_OK;
    }
    it->tensor = find_tensor(model, it->meaning->scores.name);
    if (cnn_dtype_is_float(it->meaning->scores.dtype) && it->tensor < model->tensor_count)
        it->classes = model_class_vector(&it->meaning->scores.shape);
    return MODEL_OK;
}

/* "'label' int64 ?x5": what a message says of an output. */
static void describe_output(const served_model *model, const candidate *it, size_t index,
                            buffer *out) {
    cnn_tensor_info info = cnn_model_output(model->cnn, index);
    if (it->meaning && strcmp(it->meaning->scores.name, it->name) == 0) info = it->meaning->scores;
    buffer_printf(out, "'%.60s' %s", it->name, cnn_dtype_name(info.dtype));
    for (int i = 0; i < info.shape.rank; i++)
        if (info.shape.dims[i] < 0)
            buffer_printf(out, "%s?", i ? "x" : " ");
        else
            buffer_printf(out, "%s%lld", i ? "x" : " ", (long long)info.shape.dims[i]);
}

/* The outputs, as many as a sentence may hold. */
static const char *list_outputs(const served_model *model, const candidates *all, char *text,
                                size_t size) {
    enum { MOST = 8 };
    buffer out;
    buffer_init(&out, size - 1);
    for (size_t i = 0; i < all->count && i < MOST; i++) {
        if (i > 0) buffer_printf(&out, ", ");
        describe_output(model, &all->items[i], i, &out);
    }
    if (all->count > MOST) buffer_printf(&out, " and %zu more", all->count - MOST);
    snprintf(text, size, "%.*s", (int)out.size, out.size ? out.data : "");
    buffer_free(&out);
    return text;
}

/* ---- refusals ----------------------------------------------------------------------------- */

static model_code refuse_name(const served_model *model, const candidates *all, const char *name,
                              model_error *err) {
    char near[512];
    bool inner = find_tensor(model, name) < model->tensor_count;
    return model_fail(err, MODEL_INVALID, "output.name: %s '%.100s'%s",
                      inner ? "the model has a tensor, but no output" : "the model has no output",
                      name,
                      names_suggest(inner ? "" : name, all->items, all->count, output_name_at, near,
                                    sizeof near));
}

/* Why one output does not fit. */
static model_code refuse_output(const served_model *model, const candidate *it,
                                const candidates *all, model_code code, model_error *err) {
    char list[700];
    if (!it->meaning) return model_fail(err, MODEL_BAD_REQUEST, "%s", all->why.message);
    const cnn_tensor_info *scores = &it->meaning->scores;
    list_outputs(model, all, list, sizeof list);
    if (!cnn_dtype_is_float(scores->dtype))
        return model_fail(err, code,
                          "output '%.100s' is %s, scores are floating-point numbers; the model's "
                          "outputs: %s; output.name in " MODEL_CONFIG_FILE " chooses one",
                          it->name, cnn_dtype_name(scores->dtype), list);
    if (it->tensor == model->tensor_count)
        return model_fail(err, code, "output '%.100s' is not computed by any node", it->name);
    return model_fail(err, code,
                      "output '%.100s' is not one vector of classes (1xC, 1xCx1x1 or C); the "
                      "model's outputs: %s; output.name in " MODEL_CONFIG_FILE " chooses one",
                      it->name, list);
}

static model_code refuse_all(const served_model *model, const candidates *all, model_error *err) {
    char list[700];
    bool known = false;
    for (size_t i = 0; i < all->count; i++)
        known |= all->items[i].meaning != NULL;
    if (all->count == 0) return model_fail(err, MODEL_UNFIT, "the model has no outputs");
    if (all->count == 1 || !known)
        return refuse_output(model, &all->items[0], all, MODEL_UNFIT, err);
    return model_fail(err, MODEL_UNFIT,
                      "no output is one vector of floating-point class scores (1xC, 1xCx1x1 or "
                      "C), so there is none that output.name in " MODEL_CONFIG_FILE
                      " could choose; the model's outputs: %s",
                      list_outputs(model, all, list, sizeof list));
}

/* ---- the choice --------------------------------------------------------------------------- */

static bool is_probability(const candidate *it) {
    return it->classes > 0 && (it->meaning->values == CNN_MEANING_PROBABILITY ||
                               it->meaning->values == CNN_MEANING_LOG_PROBABILITY);
}

static bool is_chosen_from(const candidate *it) {
    return it->classes > 0 && it->meaning->chosen;
}

static bool fits(const candidate *it) {
    return it->classes > 0;
}

/* The first one for which `rule` holds, with that many classes (0: any); NULL: there is none. */
static candidate *first(const candidates *all, bool (*rule)(const candidate *), size_t classes) {
    for (size_t i = 0; i < all->count; i++)
        if (rule(&all->items[i]) && (classes == 0 || all->items[i].classes == classes))
            return &all->items[i];
    return NULL;
}

/* Sets *why to the words for it; NULL: none fits. */
static candidate *choose(const candidates *all, size_t labels, const char **why) {
    const struct {
        bool (*rule)(const candidate *);
        size_t classes;
        const char *why;
    } rules[] = {
        {labels ? is_probability : NULL, labels, "because it holds probabilities"},
        {labels ? fits : NULL, labels, "because it has as many scores as there are labels"},
        {is_probability, 0, "because it holds probabilities"},
        {is_chosen_from, 0, "because it tells the best of the scores"},
        {fits, 0, "the first one with a score for each class"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        candidate *it = rules[i].rule ? first(all, rules[i].rule, rules[i].classes) : NULL;
        *why = all->count == 1 ? "the only one" : rules[i].why;
        if (it) return it;
    }
    return NULL;
}

static model_code choose_named(const served_model *model, candidates *all, const char *name,
                               candidate **out, model_error *err) {
    for (size_t i = 0; i < all->count; i++) {
        candidate *it = &all->items[i];
        if (strcmp(it->name, name) != 0) continue;
        model_code code = examine(model, i, all, err);
        *out = it;
        if (code != MODEL_OK || fits(it)) return code;
        return refuse_output(model, it, all, MODEL_INVALID, err);
    }
    return refuse_name(model, all, name, err);
}

static model_code choose_any(const served_model *model, candidates *all, size_t labels,
                             candidate **out, const char **why, model_error *err) {
    model_code code = MODEL_OK;
    for (size_t i = 0; code == MODEL_OK && i < all->count; i++)
        code = examine(model, i, all, err);
    if (code != MODEL_OK) return code;
    *out = choose(all, labels, why);
    return *out ? MODEL_OK : refuse_all(model, all, err);
}

/* ---- what is done to them ----------------------------------------------------------------- */

/* What makes probabilities of logits: what a file says, else what suits them. */
static model_activation of_logits(const model_config *config, const candidate *it) {
    static const model_activation given[] = {[CONFIG_SOFTMAX] = MODEL_SOFTMAX,
                                             [CONFIG_SIGMOID] = MODEL_SIGMOID,
                                             [CONFIG_NONE] = MODEL_NONE};
    if (config->activation != CONFIG_AUTO) return given[config->activation];
    bool apart = it->classes == 1 || it->meaning->values == CNN_MEANING_LOGIT;
    return apart ? MODEL_SIGMOID : MODEL_SOFTMAX;
}

/* What the graph says, unless model.json does; what other files say is about logits. */
static void choose_activation(const model_config *config, const candidate *it, model_scores *out) {
    const cnn_output_meaning *meaning = it->meaning;
    bool silent = config->activation == CONFIG_AUTO;
    out->given = !silent && strcmp(config->file, MODEL_CONFIG_FILE) == 0;
    out->scale = out->given ? 1 : meaning->scale;
    out->assumed = silent && meaning->values == CNN_MEANING_UNKNOWN;
    out->activation = of_logits(config, it);
    if (out->given) return;
    if (meaning->values == CNN_MEANING_PROBABILITY) out->activation = MODEL_NONE;
    if (meaning->values == CNN_MEANING_LOG_PROBABILITY) out->activation = MODEL_EXP;
}

static const char *values_word(cnn_meaning values, model_activation activation) {
    static const char *const words[] = {[CNN_MEANING_UNKNOWN] = "logits",
                                        [CNN_MEANING_PROBABILITY] = "probabilities",
                                        [CNN_MEANING_LOG_PROBABILITY] = "log probabilities",
                                        [CNN_MEANING_LOGIT] = "logits of sigmoids"};
    return values == CNN_MEANING_UNKNOWN && activation == MODEL_NONE ? "values" : words[values];
}

static const char *activation_words(const model_scores *scores) {
    static const char *const words[] = {[MODEL_NONE] = "taken as they are",
                                        [MODEL_SOFTMAX] = "softmax is applied",
                                        [MODEL_SIGMOID] = "sigmoid is applied",
                                        [MODEL_EXP] = "exp is applied"};
    return words[scores->activation];
}

/* The line that says what was chosen and why; NULL when out of memory. */
static char *explain(const model_config *config, const cnn_output_meaning *meaning, const char *why,
                     const model_scores *scores, size_t classes) {
    buffer out;
    buffer_init(&out, 4096);
    buffer_printf(&out, "output '%.100s'", scores->output);
    if (strcmp(scores->tensor, scores->output) != 0)
        buffer_printf(&out, " (tensor '%.100s' behind it)", scores->tensor);
    buffer_printf(&out, ", %s: %s", why, values_word(meaning->values, scores->activation));
    if (meaning->scale != 1) buffer_printf(&out, " times %.7g", meaning->scale);
    buffer_printf(&out, ", from %s; ", meaning->reason);
    if (scores->scale != 1) buffer_printf(&out, "divided by %.7g, ", scores->scale);
    buffer_printf(&out, "%s", activation_words(scores));
    if (scores->given) buffer_printf(&out, ", as %s says", config->file);
    if (scores->activation == MODEL_SOFTMAX && classes == 1)
        buffer_printf(&out, ", which makes 1 of any single score");
    buffer_append_char(&out, '\0');
    size_t size;
    char *text = buffer_failed(&out) ? NULL : buffer_take(&out, &size);
    buffer_free(&out);
    return text;
}

static model_code settle(served_model *model, const model_config *config, const candidates *all,
                         const candidate *it, const char *why, model_error *err) {
    model_scores *scores = &model->scores;
    scores->tensor = model->tensors[it->tensor].name;
    model->output = (size_t)(it - all->items);
    for (size_t i = 0; !config->output && i < all->count; i++)
        if (strcmp(all->items[i].name, scores->tensor) == 0) model->output = i;
    scores->output = cnn_model_output(model->cnn, model->output).name;
    model->output_tensor = it->tensor;
    model->scores_info = it->meaning->scores;
    model->scores_info.name = scores->tensor;
    model->class_count = it->classes;
    choose_activation(config, it, scores);
    scores->text = explain(config, it->meaning, why, scores, it->classes);
    return scores->text ? MODEL_OK : model_fail_memory(err);
}

model_code scores_choose(served_model *model, const model_config *config, size_t labels,
                         model_error *err) {
    const char *why = "as " MODEL_CONFIG_FILE " says";
    candidate *it = NULL;
    candidates all = {.count = cnn_model_output_count(model->cnn)};
    all.items = calloc(all.count + 1, sizeof *all.items);
    if (!all.items) return model_fail_memory(err);
    for (size_t i = 0; i < all.count; i++)
        all.items[i].name = cnn_model_output(model->cnn, i).name;
    model_code code = config->output ? choose_named(model, &all, config->output, &it, err)
                                     : choose_any(model, &all, labels, &it, &why, err);
    if (code == MODEL_OK) code = settle(model, config, &all, it, why, err);
    for (size_t i = 0; i < all.count; i++)
        cnn_output_meaning_free(all.items[i].meaning);
    free(all.items);
    return code;
}

/* ---- answers ------------------------------------------------------------------------------ */

void scores_apply(const served_model *model, float *values) {
    double scale = model->scores.scale;
    for (size_t i = 0; scale != 1 && i < model->class_count; i++)
        values[i] = (float)(values[i] / scale);
    activation_apply(model->scores.activation, values, model->class_count);
}

#define SUM_TOLERANCE 1e-3
/* Answers that must be between 0 and 1 where they do not add up to 1, for each that must where they
 * do. */
#define MORE_ANSWERS 30

/* All between 0 and 1; *sum is theirs. */
static bool are_fractions(const float *values, size_t count, double *sum) {
    *sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(values[i] >= 0 && values[i] <= 1)) return false;
        *sum += values[i];
    }
    return true;
}

void scores_look(served_model *model, const float *values) {
    double sum;
    int seen = atomic_load_explicit(&model->fractions, memory_order_relaxed);
    if (!model->scores.assumed || seen < 0) return;
    bool fractions = are_fractions(values, model->class_count, &sum);
    if (fractions && fabs(sum - 1) > SUM_TOLERANCE) atomic_store(&model->other_sums, true);
    while (seen >= 0 && !atomic_compare_exchange_weak(&model->fractions, &seen,
                                                      fractions ? seen + (seen < INT_MAX) : -1))
        continue;
}

bool served_model_doubt(served_model *model, int answers, char *text, size_t size) {
    int seen = atomic_load_explicit(&model->fractions, memory_order_relaxed);
    if (!model->scores.assumed || seen < answers) return false;
    bool sums = !atomic_load(&model->other_sums) && model->class_count > 1;
    if ((!sums && seen / MORE_ANSWERS < answers) ||
        !atomic_compare_exchange_strong(&model->fractions, &seen, -1))
        return false;
    snprintf(text, size,
             "model '%.128s' version %s: the scores of its first answers lie between 0 and 1%s, as "
             "probabilities do, but were taken for logits (%s is applied); if they are "
             "probabilities, write \"output\": {\"activation\": \"none\"} in " MODEL_CONFIG_FILE,
             model->name, model->version_text, sums ? " and add up to 1" : "",
             model_activation_name(model->scores.activation));
    return true;
}
