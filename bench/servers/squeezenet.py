"""SqueezeNet 1.1 with Pillow and ONNX Runtime: what the Python servers do with a JPEG."""
import io
import os

import numpy as np
import onnxruntime
from PIL import Image

SHORTER_SIDE, CROP = 256, 224
MEAN_BGR = np.array([104, 117, 123], np.float32).reshape(3, 1, 1)


def load():
    """A session with $ORT_THREADS threads for the model $MODEL."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["ORT_THREADS"])
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


def tensor(jpeg):
    """(1, 3, 224, 224), BGR. Of the resized picture only the crop is computed, with the same values."""
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    width, height = picture.size
    shorter = min(width, height)
    resized = width * SHORTER_SIDE // shorter, height * SHORTER_SIDE // shorter
    left, top = (round((side - CROP) / 2) for side in resized)
    x, y = width / resized[0], height / resized[1]
    box = left * x, top * y, (left + CROP) * x, (top + CROP) * y
    pixels = np.asarray(picture.resize((CROP, CROP), Image.Resampling.BILINEAR, box=box))
    return np.subtract(pixels.transpose(2, 0, 1)[::-1], MEAN_BGR, dtype=np.float32)[None]


def classify(session, jpeg):
    scores = session.run(["softmaxout_1"], {"data_0": tensor(jpeg)})[0].ravel()
    best = int(scores.argmax())
    return {"class_index": best, "probability": float(scores[best])}
