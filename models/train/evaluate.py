#!/usr/bin/env python3
"""Measure an exported model folder with Pillow preprocessing as its model.json says, and ONNX Runtime.

    python3 evaluate.py ../cifar10 --data DIR            CIFAR-10 test pictures from DIR/cifar10.tar.gz
    python3 evaluate.py ../digits --data DIR             MNIST test digits from DIR/t10k-*-ubyte.gz
    python3 evaluate.py ../cifar10 --photos DIR          ImageNet photos listed in DIR/truth.csv (file,class_index,...)

Needs: pip install onnxruntime pillow numpy
"""
import argparse
import csv
import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

FILTERS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}

# The ImageNet classes that are a CIFAR-10 class without argument (cars, horses and deer have few or none).
IMAGENET = {
    "airplane": [404, 895], "automobile": [407, 436, 468, 511, 609, 627, 656, 661, 751, 817],
    "bird": [*range(7, 25), *range(80, 101), *range(127, 147)], "cat": range(281, 286), "dog": range(151, 269),
    "frog": range(30, 33), "horse": [339], "ship": [403, 472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 871, 914],
    "truck": [555, 569, 675, 717, 864, 867]}


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def preprocess(image, settings):
    """Pillow image -> float32 (C, H, W), as the server does it."""
    gray = settings["color"] == "GRAY"
    image = image.convert("L" if gray else "RGB")
    resize = settings["resize"]
    if resize["mode"] != "none":
        width, height = image.size
        if resize["mode"] == "exact":
            height, width = pair(resize["size"])
        else:
            short = min(width, height)
            width, height = (round(resize["size"] * side / short) for side in (width, height))
        image = image.resize((width, height), FILTERS[resize["filter"]])
    if "crop" in settings:
        height, width = pair(settings["crop"])
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    x = np.asarray(image, dtype=np.float32)
    x = x[:, :, None] if gray else x[:, :, ::-1] if settings["color"] == "BGR" else x
    x = (x * settings["scale"] - np.array(settings["mean"])) / np.array(settings["std"])
    return x.transpose(2, 0, 1).astype(np.float32)


def cifar10(data, labels):
    with tarfile.open(data / "cifar10.tar.gz") as tar:
        for member in tar:
            parts = member.name.split("/")
            if member.name.endswith(".jpg") and parts[-3] == "test":
                yield Image.open(io.BytesIO(tar.extractfile(member).read())), labels.index(parts[-2])


def mnist(data, invert):
    pixels = np.frombuffer(gzip.open(data / "t10k-images-idx3-ubyte.gz").read()[16:], np.uint8).reshape(-1, 28, 28)
    truth = np.frombuffer(gzip.open(data / "t10k-labels-idx1-ubyte.gz").read()[8:], np.uint8)
    for image, label in zip(pixels, truth):
        yield Image.fromarray(255 - image if invert else image), int(label)


def mnist_photos(data):
    """Each digit in dark ink in the middle of a 500x400 sheet of light paper."""
    for image, label in mnist(data, invert=False):
        ink = image.resize((280, 280), Image.BICUBIC)
        sheet = Image.new("L", (500, 400), 225)
        sheet.paste(45, (110, 60), ink)
        yield sheet, label


def photos(folder, labels):
    for row in csv.DictReader(open(folder / "truth.csv")):
        for name, classes in IMAGENET.items():
            if int(row["class_index"]) in classes:
                yield Image.open(folder / row["file"]), labels.index(name)


def report(title, session, settings, labels, items):
    """Print the accuracy over (image, class) items and per class."""
    right, seen = np.zeros(len(labels), int), np.zeros(len(labels), int)
    batch = []

    def flush():
        x = np.stack([preprocess(image, settings) for image, _ in batch])
        best = session.run(None, {session.get_inputs()[0].name: x})[0].argmax(1)
        for (_, truth), guess in zip(batch, best):
            seen[truth] += 1
            right[truth] += guess == truth
        batch.clear()

    for item in items:
        batch.append(item)
        if len(batch) == 250:
            flush()
    if batch:
        flush()
    print(f"{title}: {right.sum()} of {seen.sum()} = {right.sum() / seen.sum():.2%}")
    print("  " + ", ".join(f"{labels[i]} {right[i]}/{seen[i]}" for i in range(len(labels)) if seen[i]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("--data", type=Path, help="folder with the data set's files")
    parser.add_argument("--photos", type=Path, help="folder with truth.csv and photos")
    args = parser.parse_args()

    config = json.loads((args.model / "model.json").read_text())
    settings = config["input"]
    labels = (args.model / config["labels"]).read_text().split("\n")[:-1]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(args.model / "model.onnx"), options, providers=["CPUExecutionProvider"])
    if args.data and settings["color"] == "GRAY":
        report("MNIST test", session, settings, labels, mnist(args.data, invert=False))
        report("MNIST test, inverted", session, settings, labels, mnist(args.data, invert=True))
        report("MNIST test, ink on 500x400 paper", session, settings, labels, mnist_photos(args.data))
    elif args.data:
        report("CIFAR-10 test", session, settings, labels, cifar10(args.data, labels))
    if args.photos:
        report("ImageNet photos", session, settings, labels, photos(args.photos, labels))


if __name__ == "__main__":
    main()
