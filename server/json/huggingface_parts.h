/* huggingface_parts.h: what huggingface.c is made of. */
#ifndef CNNSERVE_HUGGINGFACE_PARTS_H
#define CNNSERVE_HUGGINGFACE_PARTS_H

#include "json/config_reader.h"

/* ---- the two descriptions of how an image is prepared ---- */

/* preprocessor_config.json; model_type of config.json may be NULL. */
bool hf_read_preprocessor(config_reader *r, const json_t *root, const char *model_type);
/* timm's pretrained_cfg. */
bool hf_read_timm(config_reader *r, const json_t *cfg);

/* ---- values ---- */

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

/* A member that is there and not null. */
const json_t *hf_member(const json_t *object, const char *key);

/*
 * Each checks `value`, names it `key` if it is wrong, and writes *out only if it is right; `out` is
 * what the comment says.
 */
bool hf_read_switch(config_reader *r, const char *key, const json_t *value, void *out); /* bool */
bool hf_read_size(config_reader *r, const char *key, const json_t *value, void *out); /* hf_size */
bool hf_read_factor(config_reader *r, const char *key, const json_t *value, void *out); /* float */
bool hf_read_crop_pct(config_reader *r, const char *key, const json_t *value,
                      void *out); /* double */
/* image_filter, from Pillow's number of it */
bool hf_read_resample(config_reader *r, const char *key, const json_t *value, void *out);
/* hf_channels */
bool hf_read_mean(config_reader *r, const char *key, const json_t *value, void *out);
bool hf_read_std(config_reader *r, const char *key, const json_t *value, void *out);
/* nothing: for what is not done here and must be off */
bool hf_read_off(config_reader *r, const char *key, const json_t *value, void *out);
/* Both must be there; a value that is NULL is no number. */
bool hf_read_exact(config_reader *r, const char *key, const json_t *height, const json_t *width,
                   config_size *out);

/* ---- resizing ---- */

void hf_resize_exact(config_reader *r, int height, int width);
void hf_resize_shortest(config_reader *r, int size);
/* False after config_fail if a size that was computed is beyond the limit. */
bool hf_check_enlarged(config_reader *r, int size);

#endif
