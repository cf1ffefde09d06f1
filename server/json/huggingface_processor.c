/*
 * Reads Hugging Face's preprocessor_config.json.
 *
 * An image processor is a row of a table: what its keys mean if they are not given, and how its
 * size is to be taken. Its keys are a second table. A processor that is in none, and a key that
 * would change the values but is not known here, are refused: a guess would give wrong predictions
 * without a word.
 *
 * Semantics: transformers, image_processing_*.py (their Pillow and NumPy versions) and
 * image_transforms.py.
 */
#include "json/huggingface.h"
#include "json/huggingface_parts.h"

#include "common/array.h"
#include "common/names.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- image processors --------------------------------------------------------------------- */

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
    {"DINOv3ViT", resize_plain, {NULL}, true, 224, 0, IMAGE_BILINEAR, IMAGENET_MEAN, IMAGENET_STD},
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
    {"Blip", resize_plain, {NULL}, true, 384, 0, IMAGE_BICUBIC, CLIP_MEAN, CLIP_STD},
    {"Segformer", resize_plain, {NULL}, true, 512, 0, IMAGE_BILINEAR, IMAGENET_MEAN, IMAGENET_STD},
};

/* The processor of a model_type (transformers, image_processing_auto.py), for files from before the
 * processor was written into them. */
static const struct {
    const char *model_type, *processor;
} auto_processors[] = {
    {"aimv2", "CLIP"},
    {"beit", "Beit"},
    {"bit", "Bit"},
    {"blip", "Blip"},
    {"chinese_clip", "ChineseCLIP"},
    {"clip", "CLIP"},
    {"convnext", "ConvNext"},
    {"convnextv2", "ConvNext"},
    {"cvt", "ConvNext"},
    {"data2vec-vision", "Beit"},
    {"deit", "DeiT"},
    {"dinat", "ViT"},
    {"dinov2", "Bit"},
    {"dinov2_with_registers", "Bit"},
    {"dinov3_vit", "DINOv3ViT"},
    {"efficientformer", "EfficientFormer"},
    {"efficientnet", "EfficientNet"},
    {"focalnet", "Bit"},
    {"hiera", "Bit"},
    {"ijepa", "ViT"},
    {"levit", "Levit"},
    {"metaclip_2", "CLIP"},
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

static const char *every_processor(char *buffer, size_t size) {
    size_t length = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(processors) && length < size; i++)
        length += (size_t)snprintf(buffer + length, size - length, "%s%s", i ? ", " : "",
                                   processors[i].name);
    return buffer;
}

/* "ViTImageProcessorFast", "ViTFeatureExtractor" -> ViT. */
static const processor *processor_of_type(config_reader *r, const char *key, const char *type) {
    static const char *const suffixes[] = {"Fast", "Pil", "ImageProcessor", "FeatureExtractor"};
    char all[400];
    size_t length = strlen(type);
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++)
        drop_suffix(type, &length, suffixes[i]);
    const processor *found = find_processor(type, length);
    if (!found)
        config_fail(
            r,
            "%s '%.80s' is none that is read; those are %s; for others write a " MODEL_CONFIG_FILE,
            key, type, every_processor(all, sizeof all));
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
    SETTING(do_resize, hf_read_switch),
    SETTING(size, hf_read_size),
    SETTING(default_to_square, hf_read_switch),
    SETTING(resample, hf_read_resample),
    SETTING(do_center_crop, hf_read_switch),
    SETTING(crop_size, hf_read_size),
    SETTING(do_rescale, hf_read_switch),
    SETTING(rescale_factor, hf_read_factor),
    SETTING(do_normalize, hf_read_switch),
    SETTING(image_mean, hf_read_mean),
    SETTING(image_std, hf_read_std),
    SETTING_OF(crop_pct, hf_read_crop_pct, "ConvNext", "PoolFormer"),
    SETTING_OF(do_flip_channel_order, hf_read_switch, "MobileViT"),
    SETTING_OF(rescale_offset, hf_read_switch, "EfficientNet"),
    SETTING_OF(include_top, hf_read_switch, "EfficientNet"),
    {"do_pad", hf_read_off, 0, {NULL}},
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

static bool resize_plain(config_reader *r, const settings *s) {
    if (s->size.shortest)
        hf_resize_shortest(r, s->size.shortest);
    else
        hf_resize_exact(r, s->size.exact.height, s->size.exact.width);
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
        hf_resize_exact(r, side, side);
        return true;
    }
    hf_resize_shortest(r, (int)(side / s->crop_pct));
    r->config.crop = (config_size){side, side};
    return hf_check_enlarged(r, r->config.size.height);
}

static bool resize_levit(config_reader *r, const settings *s) {
    if (!s->size.shortest) return resize_plain(r, s);
    hf_resize_shortest(r, (int)(256.0 / 224.0 * s->size.shortest));
    return hf_check_enlarged(r, r->config.size.height);
}

static bool resize_poolformer(config_reader *r, const settings *s) {
    config_size exact = s->size.exact;
    int side = s->size.shortest ? s->size.shortest : exact.height;
    int height = (int)(side / s->crop_pct), width = (int)(exact.width / s->crop_pct);
    if (s->size.shortest || exact.height == exact.width)
        hf_resize_shortest(r, height);
    else
        hf_resize_exact(r, height, width);
    return hf_check_enlarged(r, height) && hf_check_enlarged(r, width);
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
    config->makes_floats = s->do_rescale;
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

bool hf_read_preprocessor(config_reader *r, const json_t *root, const char *model_type) {
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
    return true;
}
