#!/usr/bin/env python3
"""Writes huggingface_cases.h: what transformers makes of a picture, for test_huggingface.c to compare with.

    make_huggingface.py > huggingface_cases.h

Needs transformers 4 (made with 4.57, no torch), NumPy and Pillow (made with 11.3; 13.0 filters some
pictures along the columns first, which may change a pixel by 1). The cases of timm, which needs torch, are
computed here with Pillow by the rules of torchvision's Resize and CenterCrop.
"""
import json
import math
import os

import numpy as np
from PIL import Image

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers  # noqa: E402

HALF = [0.5, 0.5, 0.5]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# (processor as written in the file, other keys, width, height of the picture)
CASES = [
    ("ViTImageProcessor", {"size": {"height": 32, "width": 32}, "image_mean": HALF, "image_std": HALF}, 61, 47),
    ("ViTImageProcessor", {"size": 224, "resample": 3}, 333, 250),
    ("ViTImageProcessorFast", {"size": {"height": 20, "width": 30}, "resample": 2, "do_center_crop": None}, 61, 47),
    ("ViTFeatureExtractor", {"do_normalize": True, "do_resize": True, "size": 24, "resample": 2}, 47, 61),
    ("ViTImageProcessor", {"size": [21, 34], "resample": 0}, 47, 61),
    ("ViTImageProcessor", {"size": 24, "resample": 1}, 47, 61),
    ("ViTImageProcessor", {"size": 24, "resample": 4}, 47, 61),
    ("ViTImageProcessor", {"size": 24, "resample": 5}, 47, 61),
    ("ViTImageProcessor", {"size": 24, "do_rescale": False, "image_mean": [127.5, 120, 110.25], "image_std": 51}, 40, 50),
    ("ViTImageProcessor", {"size": 24, "do_normalize": False}, 40, 50),
    ("ViTImageProcessor", {"size": 24, "do_rescale": False, "do_normalize": False}, 40, 50),
    ("ViTImageProcessor", {"do_resize": False, "rescale_factor": 0.0078125, "image_mean": MEAN, "image_std": STD}, 33, 29),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 28}, "crop_pct": 0.875, "resample": 3}, 61, 46),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 33}, "crop_pct": 0.95, "resample": 3}, 46, 65),
    ("ConvNextFeatureExtractor", {"size": 31, "crop_pct": None, "resample": 2, "image_mean": MEAN, "image_std": STD}, 77, 45),
    ("ConvNextImageProcessorFast", {"size": {"shortest_edge": 384}, "resample": 3}, 61, 47),
    ("ConvNextImageProcessor", {"do_resize": False, "resample": 3}, 33, 29),
    ("MobileNetV1ImageProcessor", {}, 301, 200),
    ("MobileNetV2ImageProcessor", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}}, 52, 95),
    ("MobileNetV2FeatureExtractor", {"size": 40, "crop_size": 35, "do_reduce_labels": False}, 63, 47),
    ("MobileViTImageProcessor", {"size": {"shortest_edge": 36}, "crop_size": 32, "resample": 2, "do_flip_channel_order": True}, 61, 47),
    ("MobileViTImageProcessor", {"size": 36, "crop_size": 31, "resample": 3, "do_flip_channel_order": False}, 61, 47),
    ("EfficientNetImageProcessor", {"size": {"height": 32, "width": 32}, "resample": 0, "image_mean": MEAN, "image_std": [0.47853944, 0.4732864, 0.47434163]}, 61, 47),
    ("EfficientNetImageProcessor", {"size": 32, "resample": 2, "do_center_crop": True, "crop_size": 25, "include_top": False, "rescale_offset": True, "rescale_factor": 1 / 127.5}, 61, 47),
    ("EfficientNetImageProcessor", {"size": 32, "resample": 3, "do_normalize": False, "include_top": True, "image_std": STD}, 61, 47),
    ("EfficientFormerImageProcessor", {"size": {"height": 40, "width": 36}, "crop_size": 32}, 61, 47),
    ("BitImageProcessor", {"size": {"shortest_edge": 36}, "crop_size": 33}, 61, 47),
    ("DeiTImageProcessor", {"size": 37, "crop_size": 32}, 61, 47),
    ("DeiTFeatureExtractor", {"size": 37, "do_center_crop": False}, 61, 47),
    ("BeitImageProcessor", {"size": 32, "crop_size": 30, "do_center_crop": False, "resample": 2}, 61, 47),
    ("CLIPImageProcessor", {"size": {"shortest_edge": 33}, "crop_size": {"height": 33, "width": 33}}, 47, 61),
    ("CLIPImageProcessor", {"do_resize": False, "crop_size": {"height": 41, "width": 40}, "do_convert_rgb": True}, 29, 36),
    ("CLIPImageProcessor", {"do_resize": False, "crop_size": {"height": 41, "width": 22}}, 29, 36),
    ("LevitImageProcessor", {"size": {"shortest_edge": 30}, "crop_size": 30}, 61, 47),
    ("LevitImageProcessor", {}, 301, 200),
    ("PoolFormerImageProcessor", {"size": {"shortest_edge": 30}, "crop_size": 30, "crop_pct": 0.95}, 61, 47),
    ("PoolFormerImageProcessor", {"size": {"height": 30, "width": 30}, "crop_size": 30}, 47, 61),
    ("PvtImageProcessor", {"size": 32, "resample": 2}, 61, 47),
    ("SiglipImageProcessor", {"size": {"height": 32, "width": 32}}, 61, 47),
    ("SegformerImageProcessor", {"size": 32}, 61, 47),
    ("BlipImageProcessor", {"size": {"height": 20, "width": 30}}, 61, 47),
    ("BlipImageProcessor", {"size": 33, "do_convert_rgb": True}, 47, 61),
    ("DINOv3ViTImageProcessorFast", {"size": {"height": 32, "width": 24}, "resample": 2, "crop_size": None}, 61, 47),
    ("DINOv3ViTImageProcessor", {}, 301, 200),
]

# (pretrained_cfg, width, height)
TIMM_CASES = [
    ({"input_size": [3, 28, 28], "interpolation": "bicubic", "crop_pct": 0.875, "mean": MEAN, "std": STD}, 61, 46),
    ({"input_size": [3, 28, 28], "interpolation": "bilinear", "crop_pct": 0.9, "crop_mode": "center", "mean": HALF, "std": HALF}, 46, 67),
    ({"input_size": [3, 28, 28], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash", "mean": HALF, "std": HALF}, 46, 67),
    ({"input_size": [3, 29, 21], "interpolation": "nearest", "crop_pct": 0.8, "crop_mode": "squash", "mean": HALF, "std": HALF}, 46, 67),
    ({}, 301, 200),
]


def picture(width, height):
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return Image.fromarray(((x * 5 + y * 3 + x * y // 7 + c * 60) % 256).astype(np.uint8), "RGB")


def by_transformers(name, keys, image):
    if name.startswith("DINOv3ViT"):  # needs torchvision; it is ViT's but for two defaults
        name, keys = "ViTImageProcessor", {"image_mean": MEAN, "image_std": STD, **keys}
    name = name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast")
    processor = getattr(transformers, name)(**{k: v for k, v in keys.items() if v is not None})
    return processor(image, return_tensors="np")["pixel_values"][0]


def by_timm(cfg, image):
    _, height, width = cfg.get("input_size", [3, 224, 224])
    pct = cfg.get("crop_pct", 0.875)
    resample = getattr(Image.Resampling, cfg.get("interpolation", "bicubic").upper())
    scaled = [math.floor(height / pct), math.floor(width / pct)]
    w, h = image.size
    if cfg.get("crop_mode") != "squash":
        short, long = min(w, h), max(w, h)
        other = int(scaled[0] * long / short)
        scaled = [other, scaled[0]] if w <= h else [scaled[0], other]
    image = image.resize((scaled[1], scaled[0]), resample)
    top, left = int(round((scaled[0] - height) / 2.0)), int(round((scaled[1] - width) / 2.0))
    image = image.crop((left, top, left + width, top + height))
    values = np.asarray(image, np.float32) / np.float32(255)
    mean, std = np.float32(cfg.get("mean", MEAN)), np.float32(cfg.get("std", STD))
    return ((values - mean) / std).transpose(2, 0, 1)


def quoted(value):
    return json.dumps(json.dumps(value))


def write_case(name, config, preprocessor, width, height, tensor):
    """Six values spread over the (3, H, W) tensor, and the mean of all, each weighted with (31 i mod 101)."""
    tensor = np.ascontiguousarray(tensor, np.float32)
    flat = tensor.ravel().astype(np.float64)
    places = [0, tensor.shape[2] - 1, flat.size // 3 + 7, flat.size // 2, flat.size * 4 // 5, flat.size - 1]
    weighted = (flat * (np.arange(flat.size) * 31 % 101)).mean()
    print("    {%s," % json.dumps(name))
    print("     %s," % config)
    print("     %s," % preprocessor)
    print("     %d, %d, %d, %d, %.9g," % (width, height, tensor.shape[1], tensor.shape[2], weighted))
    print("     {%s}," % ", ".join(str(p) for p in places))
    print("     {%s}}," % ", ".join("%.9g" % flat[p] for p in places))


def main():
    print("/* Written by make_huggingface.py with transformers %s: see there. */" % transformers.__version__)
    print("/* clang-format off */")
    print("static const huggingface_case cases[] = {")
    for name, keys, width, height in CASES:
        key = "feature_extractor_type" if name.endswith("Extractor") else "image_processor_type"
        tensor = by_transformers(name, keys, picture(width, height))
        write_case(name, "NULL", quoted({key: name, **keys}), width, height, tensor)
    for cfg, width, height in TIMM_CASES:
        tensor = by_timm(cfg, picture(width, height))
        write_case("timm", quoted({"pretrained_cfg": cfg}), "NULL", width, height, tensor)
    print("};")


if __name__ == "__main__":
    main()
