/*
 * Reads Hugging Face's config.json and preprocessor_config.json into a model_config.
 *
 * An image processor is a row of a table: what its keys mean if they are not given, and how its
 * size is to be taken. Its keys are a second table. A processor that is in none, and a key that
 * would change the values but is not known here, are refused: a guess would give wrong predictions
 * without a word. config.json is full of what only training needs; of it the keys that matter are
 * looked at.
 *
 * Semantics: transformers, image_processing_*.py (their Pillow and NumPy versions) and
 * image_transforms.py; timm, data/transforms_factory.py.
 */
#include "json/huggingface.h"

#include "common/array.h"
#include "common/names.h"
#include "json/config_reader.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- image processors --------------------------------------------------------------------- */

/* What "size" has, in one of its forms; what it does not have is 0. */
typedef struct hf_size {
    int number;        /* 224: the shorter side, or a square */
    int shortest;      /* {"shortest_edge": 224} */
    config_size exact; /* {"height": 224, "width": 224} or [224, 224] */
} hf_size;

typedef struct hf_channels {
    size_t count;
    float values[IMAGE_MAX_CHANNELS];
} hf_channels;

/* A processor's settings: its defaults, then what the file says. */
typedef struct settings {
    bool do_resize, do_center_crop, do_rescale, do_normalize;
    bool do_flip_channel_order; /* feed BGR */
    bool rescale_offset;        /* subtract 1 after scaling */
    bool include_top;           /* divide by the std once more, as EfficientNet was trained */
    bool default_to_square;     /* what a size of one number means */
    hf_size size, crop_size;
    float rescale_factor;
    double crop_pct; /* 0: none */
    image_filter resample;
    hf_channels image_mean, image_std;
} settings;

#define HALF                                                                                       \
    {                                                                                              \
        1, {                                                                                       \
            0.5f                                                                                   \
        }                                                                                          \
    }
#define IMAGENET_MEAN                                                                              \
    {                                                                                              \
        3, {                                                                                       \
            0.485f, 0.456f, 0.406f                                                                 \
        }                                                                                          \
    }
#define IMAGENET_STD                                                                               \
    {                                                                                              \
        3, {                                                                                       \
            0.229f, 0.224f, 0.225f                                                                 \
        }                                                                                          \
    }
#define CLIP_MEAN                                                                                  \
    {                                                                                              \
        3, {                                                                                       \
            0.48145466f, 0.4578275f, 0.40821073f                                                   \
        }                                                                                          \
    }
#define CLIP_STD                                                                                   \
    {                                                                                              \
        3, {                                                                                       \
            0.26862954f, 0.26130258f, 0.27577711f                                                  \
        }                                                                                          \
    }

typedef struct processor {
    const char *name; /* without ImageProcessor */
    /* The size that the resize aims at: of a shorter side enlarged as the processor does. */
    bool (*resize)(config_reader *r, const settings *s);
    const char *required[2]; /* keys whose defaults differ between releases */
    bool square;
    int size, crop; /* crop 0: none by default */
    image_filter resample;
    hf_channels mean, std; /* count 0: it never normalises */
} processor;

static bool resize_plain(config_reader *r, const settings *s);
static bool resize_convnext(config_reader *r, const settings *s);
static bool resize_levit(config_reader *r, const settings *s);
static bool resize_poolformer(config_reader *r, const settings *s);

static const processor processors[] = {
    {"ViT", resize_plain, {NULL}, true, 224, 0, IMAGE_BILINEAR, HALF, HALF},
    {"ConvNext", resize_convnext, {"resample"}, false, 384, 0, IMAGE_BICUBIC, HALF, HALF},
    {"MobileNetV1", resize_plain, {NULL}, false, 256, 224, IMAGE_BILINEAR, HALF, HALF},
    {"MobileNetV2", resize_plain, {NULL}, false, 256, 224, IMAGE_BILINEAR, HALF, HALF},
    {"MobileViT", resize_plain, {"resample"}, false, 224, 256, IMAGE_BICUBIC, {0}, {0}},
    {"EfficientNet", resize_plain, {"resample"}, true, 346, 0, IMAGE_BICUBIC, HALF, HALF},
    {"EfficientFormer",
     resize_plain,
     {NULL},
     true,
     224,
     224,
     IMAGE_BICUBIC,
     IMAGENET_MEAN,
     IMAGENET_STD},
    {"Bit", resize_plain, {NULL}, false, 224, 224, IMAGE_BICUBIC, CLIP_MEAN, CLIP_STD},
    {"DeiT", resize_plain, {NULL}, true, 256, 224, IMAGE_BICUBIC, HALF, HALF},
    {"Beit", resize_plain, {"size", "do_center_crop"}, true, 224, 224, IMAGE_BICUBIC, HALF, HALF},
    {"CLIP", resize_plain, {NULL}, false, 224, 224, IMAGE_BICUBIC, CLIP_MEAN, CLIP_STD},
    {"ChineseCLIP", resize_plain, {NULL}, false, 224, 224, IMAGE_BICUBIC, CLIP_MEAN, CLIP_STD},
    {"ViTHybrid", resize_plain, {NULL}, false, 224, 224, IMAGE_BICUBIC, CLIP_MEAN, CLIP_STD},
    {"Levit", resize_levit, {NULL}, false, 224, 224, IMAGE_BICUBIC, IMAGENET_MEAN, IMAGENET_STD},
    {"PoolFormer",
     resize_poolformer,
     {NULL},
     false,
     224,
     224,
     IMAGE_BICUBIC,
     IMAGENET_MEAN,
     IMAGENET_STD},
    {"Pvt", resize_plain, {"resample"}, true, 224, 0, IMAGE_BICUBIC, IMAGENET_MEAN, IMAGENET_STD},
    {"Siglip", resize_plain, {NULL}, true, 224, 0, IMAGE_BICUBIC, HALF, HALF},
    {"Segformer", resize_plain, {NULL}, true, 512, 0, IMAGE_BILINEAR, IMAGENET_MEAN, IMAGENET_STD},
};

/* The processor of a model_type (transformers, image_processing_auto.py), for files from before the
 * processor was written into them. */
static const struct {
    const char *model_type, *processor;
} auto_processors[] = {
    {"beit", "Beit"},
    {"bit", "Bit"},
    {"chinese_clip", "ChineseCLIP"},
    {"clip", "CLIP"},
    {"convnext", "ConvNext"},
    {"convnextv2", "ConvNext"},
    {"cvt", "ConvNext"},
    {"data2vec-vision", "Beit"},
    {"deit", "DeiT"},
    {"dinat", "ViT"},
    {"dinov2", "Bit"},
    {"efficientformer", "EfficientFormer"},
    {"efficientnet", "EfficientNet"},
    {"focalnet", "Bit"},
    {"hiera", "Bit"},
    {"ijepa", "ViT"},
    {"levit", "Levit"},
    {"mobilenet_v1", "MobileNetV1"},
    {"mobilenet_v2", "MobileNetV2"},
    {"mobilevit", "MobileViT"},
    {"mobilevitv2", "MobileViT"},
    {"nat", "ViT"},
    {"poolformer", "PoolFormer"},
    {"pvt", "Pvt"},
    {"pvt_v2", "Pvt"},
    {"regnet", "ConvNext"},
    {"resnet", "ConvNext"},
    {"segformer", "Segformer"},
    {"siglip", "Siglip"},
    {"swiftformer", "ViT"},
    {"swin", "ViT"},
    {"swinv2", "ViT"},
    {"van", "ConvNext"},
    {"vit", "ViT"},
    {"vit_hybrid", "ViTHybrid"},
    {"vit_msn", "ViT"},
};

static const char *processor_name_at(const void *list, size_t index) {
    return ((const processor *)list)[index].name;
}

/* NULL: there is none whose name is these `length` letters. */
static const processor *find_processor(const char *name, size_t length) {
    for (size_t i = 0; i < ARRAY_LENGTH(processors); i++)
        if (strlen(processors[i].name) == length && memcmp(processors[i].name, name, length) == 0)
            return &processors[i];
    return NULL;
}

static void drop_suffix(const char *name, size_t *length, const char *suffix) {
    size_t end = strlen(suffix);
    if (*length > end && memcmp(name + *length - end, suffix, end) == 0) *length -= end;
}

/* "ViTImageProcessorFast", "ViTFeatureExtractor" -> ViT. */
static const processor *processor_of_type(config_reader *r, const char *key, const char *type) {
    static const char *const suffixes[] = {"Fast", "Pil", "ImageProcessor", "FeatureExtractor"};
    char near[512], name[80];
    size_t length = strlen(type);
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++)
        drop_suffix(type, &length, suffixes[i]);
    const processor *found = find_processor(type, length);
    snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), type);
    if (!found)
        config_fail(r, "%s '%.80s' is none that is read without a " MODEL_CONFIG_FILE "%s", key,
                    type,
                    names_suggest(name, processors, ARRAY_LENGTH(processors), processor_name_at,
                                  near, sizeof near));
    return found;
}

static const processor *processor_of_model(config_reader *r, const char *model_type) {
    for (size_t i = 0; model_type && i < ARRAY_LENGTH(auto_processors); i++)
        if (strcmp(auto_processors[i].model_type, model_type) == 0)
            return find_processor(auto_processors[i].processor,
                                  strlen(auto_processors[i].processor));
    config_fail(r, "image_processor_type is missing, and the model_type of " HUGGINGFACE_CONFIG_FILE
                   " does not tell it");
    return NULL;
}

static const processor *choose_processor(config_reader *r, const json_t *root,
                                         const char *model_type) {
    static const char *const keys[] = {"image_processor_type", "feature_extractor_type"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        const char *type = json_string_value(json_object_get(root, keys[i]));
        if (type) return processor_of_type(r, keys[i], type);
    }
    return processor_of_model(r, model_type);
}

static settings defaults_of(const processor *p) {
    return (settings){
        .do_resize = true,
        .do_center_crop = p->crop > 0,
        .do_rescale = true,
        .do_normalize = true,
        .do_flip_channel_order = strcmp(p->name, "MobileViT") == 0,
        .include_top = strcmp(p->name, "EfficientNet") == 0,
        .default_to_square = p->square,
        .size = {.number = p->size},
        .crop_size = {.number = p->crop},
        .rescale_factor = 1.0f / 255.0f,
        .crop_pct = strcmp(p->name, "PoolFormer") == 0 ? 0.9 : 224.0 / 256.0,
        .resample = p->resample,
        .image_mean = p->mean,
        .image_std = p->std,
    };
}

/* ---- values ------------------------------------------------------------------------------- */

static bool read_switch(config_reader *r, const char *key, const json_t *value, void *out) {
    if (!json_is_boolean(value)) return config_fail(r, "%s must be true or false", key);
    *(bool *)out = json_is_true(value);
    return true;
}

static bool read_extent(config_reader *r, const char *key, const json_t *value, int *out) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (number < 1 || number > IMAGE_MAX_SIZE)
        return config_fail(r, "%s must be a whole number from 1 to %d", key, IMAGE_MAX_SIZE);
    *out = (int)number;
    return true;
}

/* Both must be there; a value that is NULL is no number. */
static bool read_exact(config_reader *r, const char *key, const json_t *height, const json_t *width,
                       config_size *out) {
    char name[80];
    snprintf(name, sizeof name, "%s: height", key);
    if (!read_extent(r, name, height, &out->height)) return false;
    snprintf(name, sizeof name, "%s: width", key);
    return read_extent(r, name, width, &out->width);
}

static bool read_size_object(config_reader *r, const char *key, const json_t *value, hf_size *out) {
    static const char *const known[] = {"height", "width", "shortest_edge"};
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)value, name, item) {
        size_t i = 0;
        while (i < ARRAY_LENGTH(known) && strcmp(known[i], name) != 0)
            i++;
        if (i == ARRAY_LENGTH(known) && !json_is_null(item))
            return config_fail(r,
                               "%s: '%.60s' is not supported, only height and width, or "
                               "shortest_edge",
                               key, name);
    }
    const json_t *shortest = json_object_get(value, "shortest_edge");
    const json_t *height = json_object_get(value, "height"),
                 *width = json_object_get(value, "width");
    if (!shortest || json_is_null(shortest)) return read_exact(r, key, height, width, &out->exact);
    if ((height && !json_is_null(height)) || (width && !json_is_null(width)))
        return config_fail(r, "%s has both shortest_edge and height or width", key);
    char path[80];
    snprintf(path, sizeof path, "%s: shortest_edge", key);
    return read_extent(r, path, shortest, &out->shortest);
}

static bool read_size(config_reader *r, const char *key, const json_t *value, void *out) {
    hf_size size = {0};
    bool ok;
    if (json_is_object(value))
        ok = read_size_object(r, key, value, &size);
    else if (json_is_array(value) && json_array_size(value) == 2)
        ok = read_exact(r, key, json_array_get(value, 0), json_array_get(value, 1), &size.exact);
    else
        ok = read_extent(r, key, value, &size.number);
    if (ok) *(hf_size *)out = size;
    return ok;
}

static bool read_factor(config_reader *r, const char *key, const json_t *value, void *out) {
    return config_read_float(r, key, value, out);
}

static bool read_crop_pct(config_reader *r, const char *key, const json_t *value, void *out) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number > 0.01 && number <= 1))
        return config_fail(r, "%s must be a number above 0.01, at most 1", key);
    *(double *)out = number;
    return true;
}

/* Pillow's numbers of its filters. */
static bool read_resample(config_reader *r, const char *key, const json_t *value, void *out) {
    static const image_filter filters[] = {IMAGE_NEAREST, IMAGE_LANCZOS, IMAGE_BILINEAR,
                                           IMAGE_BICUBIC, IMAGE_BOX,     IMAGE_HAMMING};
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < 0 || number >= (json_int_t)ARRAY_LENGTH(filters))
        return config_fail(r, "%s must be one of Pillow's filters, a whole number from 0 to %zu",
                           key, ARRAY_LENGTH(filters) - 1);
    *(image_filter *)out = filters[number];
    return true;
}

static bool read_mean(config_reader *r, const char *key, const json_t *value, void *out) {
    hf_channels *channels = out;
    return config_read_channels(r, key, value, channels->values, &channels->count);
}

static bool read_std(config_reader *r, const char *key, const json_t *value, void *out) {
    hf_channels *channels = out;
    if (!read_mean(r, key, value, out)) return false;
    for (size_t i = 0; i < channels->count; i++)
        if (channels->values[i] == 0) return config_fail(r, "%s must not hold 0", key);
    return true;
}

/* For what is not done here. */
static bool read_off(config_reader *r, const char *key, const json_t *value, void *out) {
    (void)out;
    return json_is_false(value) || config_fail(r, "%s is not supported", key);
}

/* ---- preprocessor_config.json ------------------------------------------------------------- */

typedef struct hf_key {
    const char *name;
    /* NULL: the values do not depend on it. `out` is the place in the settings. */
    bool (*read)(config_reader *r, const char *key, const json_t *value, void *out);
    size_t offset;
    const char *only[2]; /* processors that heed it; none: all do */
} hf_key;

#define SETTING(name, read)                                                                        \
    {                                                                                              \
#name, read, offsetof(settings, name), {                                                   \
            NULL                                                                                   \
        }                                                                                          \
    }
#define SETTING_OF(name, read, ...)                                                                \
    {                                                                                              \
#name, read, offsetof(settings, name), {                                                   \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const hf_key hf_keys[] = {
    SETTING(do_resize, read_switch),
    SETTING(size, read_size),
    SETTING(default_to_square, read_switch),
    SETTING(resample, read_resample),
    SETTING(do_center_crop, read_switch),
    SETTING(crop_size, read_size),
    SETTING(do_rescale, read_switch),
    SETTING(rescale_factor, read_factor),
    SETTING(do_normalize, read_switch),
    SETTING(image_mean, read_mean),
    SETTING(image_std, read_std),
    SETTING_OF(crop_pct, read_crop_pct, "ConvNext", "PoolFormer"),
    SETTING_OF(do_flip_channel_order, read_switch, "MobileViT"),
    SETTING_OF(rescale_offset, read_switch, "EfficientNet"),
    SETTING_OF(include_top, read_switch, "EfficientNet"),
    {"do_pad", read_off, 0, {NULL}},
    /* images are always decoded to RGB, or made grey for a graph of one channel */
    {"do_convert_rgb", NULL, 0, {NULL}},
    {"pad_size", NULL, 0, {NULL}},         /* with do_pad */
    {"do_reduce_labels", NULL, 0, {NULL}}, /* of segmentation maps */
    {"reduce_labels", NULL, 0, {NULL}},
    {"do_resize_and_center_crop", NULL, 0, {NULL}}, /* no longer read by transformers */
    {"image_processor_type", NULL, 0, {NULL}},
    {"feature_extractor_type", NULL, 0, {NULL}},
    {"processor_class", NULL, 0, {NULL}},
    {"auto_map", NULL, 0, {NULL}},
    {"data_format", NULL, 0, {NULL}}, /* the graph's layout counts */
    {"input_data_format", NULL, 0, {NULL}},
    {"return_tensors", NULL, 0, {NULL}},
    {"device", NULL, 0, {NULL}},
    {"disable_grouping", NULL, 0, {NULL}},
    {"image_seq_length", NULL, 0, {NULL}},
    {"num_channels", NULL, 0, {NULL}},
    {"model_input_names", NULL, 0, {NULL}},
    {"_valid_processor_keys", NULL, 0, {NULL}},
    {"transformers_version", NULL, 0, {NULL}},
};

static const char *hf_key_name_at(const void *list, size_t index) {
    return ((const hf_key *)list)[index].name;
}

static bool heeds(const processor *p, const hf_key *key) {
    if (!key->only[0]) return true;
    for (size_t i = 0; i < ARRAY_LENGTH(key->only) && key->only[i]; i++)
        if (strcmp(key->only[i], p->name) == 0) return true;
    return false;
}

static bool read_key(config_reader *r, const processor *p, const char *name, const json_t *value,
                     settings *out) {
    const hf_key *key = hf_keys;
    char near[256];
    if (json_is_null(value)) return true; /* as if it were not there */
    while (key < hf_keys + ARRAY_LENGTH(hf_keys) && strcmp(key->name, name) != 0)
        key++;
    if (key == hf_keys + ARRAY_LENGTH(hf_keys))
        return config_fail(
            r, "key '%.60s' is not supported%s", name,
            names_suggest(name, hf_keys, ARRAY_LENGTH(hf_keys), hf_key_name_at, near, sizeof near));
    if (!key->read) return true;
    if (heeds(p, key)) return key->read(r, name, value, (char *)out + key->offset);
    return json_is_false(value) ||
           config_fail(r, "%s has no meaning for image processor %s", name, p->name);
}

static bool check_required(config_reader *r, const processor *p, const json_t *root) {
    for (size_t i = 0; i < ARRAY_LENGTH(p->required) && p->required[i]; i++) {
        const json_t *value = json_object_get(root, p->required[i]);
        if (!value || json_is_null(value))
            return config_fail(r,
                               "%s is missing; releases of transformers differ in what that means "
                               "for image processor %s",
                               p->required[i], p->name);
    }
    return true;
}

/* ---- what the settings mean --------------------------------------------------------------- */

static void set_exact(config_reader *r, int height, int width) {
    r->config.resize = IMAGE_RESIZE_EXACT;
    r->config.size = (config_size){height, width};
}

static void set_shortest(config_reader *r, int size) {
    r->config.resize = IMAGE_RESIZE_SHORTEST;
    r->config.size = (config_size){size, size};
}

static bool check_enlarged(config_reader *r, int size) {
    if (size <= IMAGE_MAX_SIZE) return true;
    return config_fail(r, "size: images would be resized to %d; the limit is %d", size,
                       IMAGE_MAX_SIZE);
}

static bool resize_plain(config_reader *r, const settings *s) {
    if (s->size.shortest)
        set_shortest(r, s->size.shortest);
    else
        set_exact(r, s->size.exact.height, s->size.exact.width);
    return true;
}

/* Below 384 the part of an enlarged image, from there on the squashed whole image. */
static bool resize_convnext(config_reader *r, const settings *s) {
    int side = s->size.shortest;
    if (!side) return config_fail(r, "size must be one number, or have shortest_edge");
    if (s->do_center_crop &&
        (s->crop_size.exact.height != side || s->crop_size.exact.width != side))
        return config_fail(r, "do_center_crop to another size than that of the resize is not "
                              "supported for image processor ConvNext");
    if (side >= 384) {
        set_exact(r, side, side);
        return true;
    }
    set_shortest(r, (int)(side / s->crop_pct));
    r->config.crop = (config_size){side, side};
    return check_enlarged(r, r->config.size.height);
}

static bool resize_levit(config_reader *r, const settings *s) {
    if (!s->size.shortest) return resize_plain(r, s);
    set_shortest(r, (int)(256.0 / 224.0 * s->size.shortest));
    return check_enlarged(r, r->config.size.height);
}

static bool resize_poolformer(config_reader *r, const settings *s) {
    config_size exact = s->size.exact;
    int side = s->size.shortest ? s->size.shortest : exact.height;
    int height = (int)(side / s->crop_pct), width = (int)(exact.width / s->crop_pct);
    if (s->size.shortest || exact.height == exact.width)
        set_shortest(r, height);
    else
        set_exact(r, height, width);
    return check_enlarged(r, height) && check_enlarged(r, width);
}

/* A size of one number in the form that the processor takes it for. */
static void settle_size(hf_size *size, bool square) {
    if (size->number && square) size->exact = (config_size){size->number, size->number};
    if (size->number && !square) size->shortest = size->number;
}

static bool apply_sizes(config_reader *r, const processor *p, settings *s) {
    model_config *config = &r->config;
    settle_size(&s->size, s->default_to_square);
    settle_size(&s->crop_size, true);
    config->has_resize = config->has_filter = config->has_crop = true;
    config->resize = IMAGE_RESIZE_NONE;
    config->filter = s->resample;
    config->rounding = IMAGE_ROUND_TRANSFORMERS;
    if (s->do_center_crop && !s->crop_size.exact.height)
        return config_fail(r, "crop_size must be a number, or have height and width");
    if (s->do_center_crop) config->crop = s->crop_size.exact;
    return !s->do_resize || p->resize(r, s);
}

/* (pixel x factor - offset - mean) / std, perhaps / std once more. */
static void apply_values(config_reader *r, const processor *p, const settings *s) {
    model_config *config = &r->config;
    bool normalize = s->do_normalize && p->std.count > 0;
    float offset = s->do_rescale && s->rescale_offset ? 1 : 0;
    config->has_scale = true;
    config->scale = s->do_rescale ? s->rescale_factor : 1;
    config->mean_count = normalize ? s->image_mean.count : 1;
    config->std_count = normalize || s->include_top ? s->image_std.count : 1;
    for (size_t c = 0; c < IMAGE_MAX_CHANNELS; c++) {
        float std = s->image_std.values[c];
        config->mean[c] = offset + (normalize ? s->image_mean.values[c] : 0);
        config->std[c] = (normalize ? std : 1) * (s->include_top ? std : 1);
    }
    if (s->do_flip_channel_order) {
        config->has_color = true;
        config->color = IMAGE_BGR;
    }
}

static bool read_preprocessor(config_reader *r, const json_t *root, const char *model_type) {
    if (!json_is_object(root)) return config_fail(r, "the file must be an object");
    const processor *p = choose_processor(r, root, model_type);
    if (!p) return false;
    settings s = defaults_of(p);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)root, name, value) {
        if (!read_key(r, p, name, value, &s)) return false;
    }
    if (!check_required(r, p, root) || !apply_sizes(r, p, &s)) return false;
    apply_values(r, p, &s);
    r->config.file = HUGGINGFACE_PREPROCESSOR_FILE;
    return true;
}

/* ---- timm's pretrained_cfg ---------------------------------------------------------------- */

/* A member that is there and not null. */
static const json_t *member(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static bool timm_filter(config_reader *r, const json_t *cfg) {
    static const struct {
        const char *name;
        image_filter filter;
    } filters[] = {{"bicubic", IMAGE_BICUBIC}, {"bilinear", IMAGE_BILINEAR},
                   {"nearest", IMAGE_NEAREST}, {"lanczos", IMAGE_LANCZOS},
                   {"box", IMAGE_BOX},         {"hamming", IMAGE_HAMMING}};
    const json_t *value = member(cfg, "interpolation");
    const char *name = value ? json_string_value(value) : filters[0].name;
    for (size_t i = 0; name && i < ARRAY_LENGTH(filters); i++)
        if (strcmp(filters[i].name, name) == 0) {
            r->config.has_filter = true;
            r->config.filter = filters[i].filter;
            return true;
        }
    return config_fail(r, "pretrained_cfg.interpolation '%.60s' is not supported",
                       name ? name : "");
}

/* center: the shorter side to the size / crop_pct; squash: both sides. */
static bool timm_resize(config_reader *r, const json_t *cfg, config_size size, double crop_pct) {
    const json_t *value = member(cfg, "crop_mode");
    const char *mode = value ? json_string_value(value) : "center";
    int height = (int)(size.height / crop_pct), width = (int)(size.width / crop_pct);
    if (mode && strcmp(mode, "squash") == 0)
        set_exact(r, height, width);
    else if (mode && strcmp(mode, "center") == 0 && height == width)
        set_shortest(r, height);
    else
        return config_fail(r, "pretrained_cfg.crop_mode '%.60s' is not supported for %dx%d",
                           mode ? mode : "", size.height, size.width);
    return check_enlarged(r, height) && check_enlarged(r, width);
}

static bool timm_size(config_reader *r, const json_t *cfg) {
    const json_t *input = member(cfg, "input_size"), *pct = member(cfg, "crop_pct");
    config_size size = {224, 224};
    double crop_pct = 0.875;
    if (input && json_array_size(input) != 3)
        return config_fail(r, "pretrained_cfg.input_size must be [channels, height, width]");
    if (input && !read_exact(r, "pretrained_cfg.input_size", json_array_get(input, 1),
                             json_array_get(input, 2), &size))
        return false;
    if (pct && !read_crop_pct(r, "pretrained_cfg.crop_pct", pct, &crop_pct)) return false;
    r->config.has_resize = r->config.has_crop = true;
    r->config.crop = size;
    r->config.rounding = IMAGE_ROUND_TORCHVISION;
    return timm_resize(r, cfg, size, crop_pct);
}

static bool timm_values(config_reader *r, const json_t *cfg) {
    const json_t *mean = member(cfg, "mean"), *std = member(cfg, "std");
    hf_channels values[2] = {IMAGENET_MEAN, IMAGENET_STD};
    if (mean && !read_mean(r, "pretrained_cfg.mean", mean, &values[0])) return false;
    if (std && !read_std(r, "pretrained_cfg.std", std, &values[1])) return false;
    r->config.mean_count = values[0].count;
    r->config.std_count = values[1].count;
    memcpy(r->config.mean, values[0].values, sizeof r->config.mean);
    memcpy(r->config.std, values[1].values, sizeof r->config.std);
    return true;
}

static bool read_timm(config_reader *r, const json_t *cfg) {
    r->config.file = HUGGINGFACE_CONFIG_FILE;
    return timm_filter(r, cfg) && timm_size(r, cfg) && timm_values(r, cfg);
}

/* ---- config.json -------------------------------------------------------------------------- */

static bool allocate_labels(config_reader *r, size_t count) {
    r->config.label_names = calloc(count, sizeof *r->config.label_names);
    if (!r->config.label_names) return config_fail(r, "out of memory");
    r->config.label_count = count;
    return true;
}

static bool set_label(config_reader *r, const char *key, size_t index, const json_t *value) {
    char number[32], **label = &r->config.label_names[index];
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (!text) return config_fail(r, "%s: the label of class %zu must be a string", key, index);
    if (*label) return config_fail(r, "%s has class %zu twice", key, index);
    *label = strdup(text);
    return *label || config_fail(r, "out of memory");
}

/* {"0": "cat", "1": "dog"}; so many keys, each a class once, are all of them. */
static bool read_id2label(config_reader *r, const json_t *object) {
    const char *name;
    json_t *value;
    size_t count = json_object_size(object);
    if (count == 0) return config_fail(r, "id2label must be an object with a label for each class");
    if (!allocate_labels(r, count)) return false;
    json_object_foreach((json_t *)object, name, value) {
        size_t length = strspn(name, "0123456789");
        unsigned long index =
            length > 0 && length < 10 && !name[length] ? strtoul(name, NULL, 10) : count;
        if (index >= count)
            return config_fail(r, "id2label has %zu labels, so '%.60s' is none of its classes",
                               count, name);
        if (!set_label(r, "id2label", index, value)) return false;
    }
    return true;
}

/* timm: ["cat", "dog"] */
static bool read_label_names(config_reader *r, const json_t *array) {
    size_t count = json_array_size(array);
    if (count == 0)
        return config_fail(r, "label_names must be an array with a label for each class");
    if (!allocate_labels(r, count)) return false;
    for (size_t i = 0; i < count; i++)
        if (!set_label(r, "label_names", i, json_array_get(array, i))) return false;
    return true;
}

static bool read_labels(config_reader *r, const json_t *root) {
    const json_t *ids = member(root, "id2label"), *names = member(root, "label_names");
    if (ids) return read_id2label(r, ids);
    return !names || read_label_names(r, names);
}

/* As transformers' image-classification pipeline chooses it. */
static bool read_problem_type(config_reader *r, const json_t *root) {
    static const struct {
        const char *name;
        config_activation activation;
    } types[] = {{"regression", CONFIG_NONE},
                 {"single_label_classification", CONFIG_AUTO},
                 {"multi_label_classification", CONFIG_SIGMOID}};
    const json_t *value = member(root, "problem_type");
    const char *type = value ? json_string_value(value) : "single_label_classification";
    for (size_t i = 0; type && i < ARRAY_LENGTH(types); i++)
        if (strcmp(types[i].name, type) == 0) {
            bool one = r->config.label_count == 1 && types[i].activation == CONFIG_AUTO;
            r->config.activation = one ? CONFIG_SIGMOID : types[i].activation;
            return true;
        }
    return config_fail(r, "problem_type '%.60s' is not supported", type ? type : "");
}

/* A graph that leaves the number of channels open does not tell that images are grey. */
static void read_num_channels(config_reader *r, const json_t *root) {
    if (json_integer_value(json_object_get(root, "num_channels")) != 1) return;
    r->config.has_color = true;
    r->config.color = IMAGE_GRAY;
}

static bool read_classes(config_reader *r, const json_t *root) {
    if (!json_is_object(root)) return config_fail(r, "the file must be an object");
    if (!read_labels(r, root) || !read_problem_type(r, root)) return false;
    read_num_channels(r, root);
    return true;
}

/* ---- both --------------------------------------------------------------------------------- */

static bool is_timm(const json_t *preprocessor) {
    const char *type = json_string_value(json_object_get(preprocessor, "image_processor_type"));
    return !preprocessor || (type && strcmp(type, "TimmWrapperImageProcessor") == 0);
}

static bool read_preprocessing(config_reader *r, const json_t *config, const json_t *preprocessor,
                               const char **blamed) {
    const json_t *timm = member(config, "pretrained_cfg");
    *blamed = HUGGINGFACE_CONFIG_FILE;
    if (timm && is_timm(preprocessor)) return read_timm(r, timm);
    if (!preprocessor)
        return config_fail(r, "there is no " HUGGINGFACE_PREPROCESSOR_FILE
                              " beside it, which says how images are prepared; add it, or write "
                              "a " MODEL_CONFIG_FILE);
    *blamed = HUGGINGFACE_PREPROCESSOR_FILE;
    return read_preprocessor(r, preprocessor,
                             json_string_value(json_object_get(config, "model_type")));
}

bool huggingface_read(huggingface_file config, huggingface_file preprocessor, model_config *out,
                      const char **blamed, char *message, size_t size) {
    config_reader r = {.message = message, .size = size};
    json_t *classes = NULL, *images = NULL;
    bool ok = true;
    if (config.text) {
        *blamed = HUGGINGFACE_CONFIG_FILE;
        classes = config_parse(&r, config.text, config.length);
        ok = classes && read_classes(&r, classes);
    }
    if (ok && preprocessor.text) {
        *blamed = HUGGINGFACE_PREPROCESSOR_FILE;
        images = config_parse(&r, preprocessor.text, preprocessor.length);
        ok = images;
    }
    ok = ok && read_preprocessing(&r, classes, images, blamed);
    json_decref(classes);
    json_decref(images);
    return config_finish(&r, ok, out);
}
