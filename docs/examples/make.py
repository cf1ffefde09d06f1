#!/usr/bin/env python3
"""Draws the pictures of this folder: `python3 make.py` (needs Pillow and NumPy). seven.f32 is the tensor of one of them."""
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).resolve().parent


def pen_on_paper(strokes, size=(480, 360)):
    """Ink strokes on unevenly lit paper, as a phone would see them."""
    width, height = size
    ink = Image.new("L", size, 0)
    draw = ImageDraw.Draw(ink)
    for stroke in strokes:
        draw.line(stroke, fill=255, width=22, joint="curve")
        for x, y in (stroke[0], stroke[-1]):
            draw.ellipse((x - 11, y - 11, x + 11, y + 11), fill=255)
    ink = np.asarray(ink.filter(ImageFilter.GaussianBlur(2)), np.float32)[..., None] / 255
    light = np.linspace(1, 0.85, width)[None, :, None] * np.linspace(1, 0.92, height)[:, None, None]
    paper = np.array([236, 229, 210]) * light
    pixels = paper * (1 - ink) + np.array([38, 44, 92]) * ink
    pixels += np.random.default_rng(7).normal(0, 4, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


# A seven with a bar, as it is written in Europe.
pen_on_paper([[(165, 95), (240, 88), (312, 92), (285, 150), (245, 215), (215, 290)],
              [(205, 192), (295, 184)]]).save(HERE / "seven.jpg", quality=85)

# The same as the network `digits` wants it: 1 x 1 x 28 x 28 float32, see models/digits/model.json.
seven = Image.open(HERE / "seven.jpg").convert("L")
seven = seven.resize((round(28 * seven.width / seven.height), 28), Image.Resampling.BILINEAR)
left = round((seven.width - 28) / 2)
((np.asarray(seven.crop((left, 0, left + 28, 28)), np.float32) / 255 - 0.5) / 0.5).astype("<f4").tofile(HERE / "seven.f32")

# 8 x 8, black but for its two middle columns.
line = Image.new("L", (8, 8), 0)
line.paste(255, (3, 0, 5, 8))
line.save(HERE / "line.png")

# 4 x 4, dark enough to look black: the numbers that docs/pooling.md pools.
numbers = np.array([[1, 5, 2, 0],
                    [3, 4, 8, 1],
                    [0, 2, 6, 6],
                    [7, 0, 6, 6]], np.uint8)
Image.fromarray(numbers).save(HERE / "numbers.png")
