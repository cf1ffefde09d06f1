/* Reads timm's pretrained_cfg. Semantics: timm, data/transforms_factory.py. */
#include "json/huggingface.h"
#include "json/huggingface_parts.h"

#include "common/array.h"

#include <string.h>

static bool timm_filter(config_reader *r, const json_t *cfg) {
    static const struct {
        const char *name;
        image_filter filter;
    } filters[] = {{"bicubic", IMAGE_BICUBIC}, {"bilinear", IMAGE_BILINEAR},
                   {"nearest", IMAGE_NEAREST}, {"lanczos", IMAGE_LANCZOS},
                   {"box", IMAGE_BOX},         {"hamming", IMAGE_HAMMING}};
    const json_t *value = hf_member(cfg, "interpolation");
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
    const json_t *value = hf_member(cfg, "crop_mode");
    const char *mode = value ? json_string_value(value) : "center";
    int height = (int)(size.height / crop_pct), width = (int)(size.width / crop_pct);
    if (mode && strcmp(mode, "squash") == 0)
        hf_resize_exact(r, height, width);
    else if (mode && strcmp(mode, "center") == 0 && height == width)
        hf_resize_shortest(r, height);
    else
        return config_fail(r, "pretrained_cfg.crop_mode '%.60s' is not supported for %dx%d",
                           mode ? mode : "", size.height, size.width);
    return hf_check_enlarged(r, height) && hf_check_enlarged(r, width);
}

static bool timm_size(config_reader *r, const json_t *cfg) {
    const json_t *input = hf_member(cfg, "input_size"), *pct = hf_member(cfg, "crop_pct");
    config_size size = {224, 224};
    double crop_pct = 0.875;
    if (input && json_array_size(input) != 3)
        return config_fail(r, "pretrained_cfg.input_size must be [channels, height, width]");
    if (input && !hf_read_exact(r, "pretrained_cfg.input_size", json_array_get(input, 1),
                                json_array_get(input, 2), &size))
        return false;
    if (pct && !hf_read_crop_pct(r, "pretrained_cfg.crop_pct", pct, &crop_pct)) return false;
    r->config.has_resize = r->config.has_crop = true;
    r->config.crop = size;
    r->config.rounding = IMAGE_ROUND_TORCHVISION;
    return timm_resize(r, cfg, size, crop_pct);
}

static bool timm_values(config_reader *r, const json_t *cfg) {
    const json_t *mean = hf_member(cfg, "mean"), *std = hf_member(cfg, "std");
    hf_channels values[2] = {IMAGENET_MEAN, IMAGENET_STD};
    if (mean && !hf_read_mean(r, "pretrained_cfg.mean", mean, &values[0])) return false;
    if (std && !hf_read_std(r, "pretrained_cfg.std", std, &values[1])) return false;
    r->config.mean_count = values[0].count;
    r->config.std_count = values[1].count;
    memcpy(r->config.mean, values[0].values, sizeof r->config.mean);
    memcpy(r->config.std, values[1].values, sizeof r->config.std);
    return true;
}

bool hf_read_timm(config_reader *r, const json_t *cfg) {
    r->config.file = HUGGINGFACE_CONFIG_FILE;
    r->config.makes_floats = true;
    return timm_filter(r, cfg) && timm_size(r, cfg) && timm_values(r, cfg);
}
