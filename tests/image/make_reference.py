#!/usr/bin/env python3
"""Writes what Pillow makes of images, for tests/image to compare with.

    make_reference.py OUT [DATA]

OUT gets image files made here (JPEG and WebP of every kind, PNG and WebP with EXIF), the pixels expected of
them, and resized pixels. DATA is the folder of CNNSERVE_TEST_DATA; without it, references for files that
lie there are left out. Needs Pillow and nothing else. The same input gives the same output.

decode.txt   one line per file: PATH, RAW (each ended by a tab), WIDTH HEIGHT TOLERANCE; RAW holds (height, width, 3) bytes
resize.txt   one line per case, see resize_cases(); the expected bytes of all cases, one after the other, are
             in resize.bin
"""
import io
import os
import random
import struct
import sys
import zlib

from PIL import Image, ImageDraw, ImageOps

FILTERS = {
    "nearest": Image.NEAREST,
    "box": Image.BOX,
    "bilinear": Image.BILINEAR,
    "hamming": Image.HAMMING,
    "bicubic": Image.BICUBIC,
    "lanczos": Image.LANCZOS,
}
ORIENTATION = 0x0112


# ---- pictures ---------------------------------------------------------------------------------


def noise(width, height, seed):
    """Every pixel different: nothing a wrong filter tap could hide in."""
    data = random.Random(seed).getrandbits(width * height * 24).to_bytes(width * height * 3, "little")
    return Image.frombytes("RGB", (width, height), data)


def scene(width, height):
    """Slopes, edges and saturated colours, about as hard to compress as a photo."""
    image = Image.new("RGB", (width, height))
    image.putdata(
        [
            (x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x * y // 7) % 256)
            for y in range(height)
            for x in range(width)
        ]
    )
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 5, height // 4, width // 2, height * 3 // 4), fill=(250, 10, 20))
    draw.rectangle((width // 2, height // 8, width * 7 // 8, height // 3), fill=(0, 0, 255))
    draw.line((0, height, width, 0), fill=(255, 255, 255), width=3)
    return image


def with_alpha(image):
    width, height = image.size
    alpha = Image.new("L", image.size)
    alpha.putdata([(3 * x + 5 * y) % 256 for y in range(height) for x in range(width)])
    result = image.copy()
    result.putalpha(alpha)
    return result


# ---- expected pixels --------------------------------------------------------------------------


def over_white(image):
    """Any mode -> RGB, transparency over white."""
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def png_samples(data):
    """An independent and slow PNG decoder: (width, height, depth, rows of RGBA tuples of that depth)."""
    at, chunks = 8, []
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    first = dict(reversed(chunks))
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", first[b"IHDR"])
    stream = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    palette = first.get(b"PLTE", b"")
    trns = first.get(b"tRNS")
    top = 255 if color == 3 else (1 << depth) - 1
    pixels = [[None] * width for _ in range(height)]
    passes = (
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        if interlace
        else [(0, 0, 1, 1)]
    )
    at = 0
    for x0, y0, dx, dy in passes:
        xs, ys = range(x0, width, dx), range(y0, height, dy)
        if not xs:
            continue
        size, step = (len(xs) * channels * depth + 7) // 8, max(1, channels * depth // 8)
        previous = bytearray(size)
        for y in ys:
            kind, line = stream[at], bytearray(stream[at + 1 : at + 1 + size])
            at += 1 + size
            for i in range(size):
                a = line[i - step] if i >= step else 0
                b = previous[i]
                c = previous[i - step] if i >= step else 0
                p = a + b - c
                paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                line[i] = (line[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
            previous = line
            bits = int.from_bytes(line, "big")
            samples = [
                bits >> (size * 8 - depth * (i + 1)) & ((1 << depth) - 1) for i in range(len(xs) * channels)
            ]
            for i, x in enumerate(xs):
                raw = samples[i * channels : (i + 1) * channels]
                if color == 3:
                    alpha = trns[raw[0]] if trns and raw[0] < len(trns) else top
                    pixels[y][x] = tuple(palette[raw[0] * 3 : raw[0] * 3 + 3]) + (alpha,)
                elif color in (4, 6):
                    pixels[y][x] = tuple((raw[:-1] * 3)[:3]) + (raw[-1],)
                else:
                    key = struct.unpack(">%dH" % channels, trns) if trns else None
                    alpha = 0 if key == tuple(raw) else top
                    pixels[y][x] = tuple((raw * 3)[:3]) + (alpha,)
    return width, height, top, pixels


def png_expected(data):
    """RGB bytes of a PNG, over white, every depth rounded to 8 bits."""
    width, height, top, rows = png_samples(data)
    out = bytearray()
    for row in rows:
        for r, g, b, a in row:
            for v in (r, g, b):
                over = v * a + top * (top - a)
                out.append((over * 255 * 2 + top * top) // (2 * top * top))
    return Image.frombytes("RGB", (width, height), bytes(out))


# ---- files to decode --------------------------------------------------------------------------


class DecodeList:
    def __init__(self, out):
        self.out, self.lines = out, []

    def expect(self, path, image, tolerance):
        raw = os.path.join(self.out, "expected-%03d.rgb" % len(self.lines))
        with open(raw, "wb") as f:
            f.write(image.tobytes())
        self.lines.append("%s\t%s\t%d %d %d" % (path, raw, *image.size, tolerance))

    def add(self, name, data, image=None, tolerance=1):
        """A file made here; image is what it shows, by default what Pillow says."""
        path = os.path.join(self.out, name)
        with open(path, "wb") as f:
            f.write(data)
        self.expect(path, image or over_white(Image.open(io.BytesIO(data))), tolerance)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def adobe(data, transform):
    """Sets the transform byte of a JPEG's Adobe marker, or inserts a marker: 0 = as stored, 2 = YCCK."""
    at = data.find(b"\xff\xee\x00\x0eAdobe")
    if at >= 0:
        return data[: at + 15] + bytes([transform]) + data[at + 16 :]
    marker = b"\xff\xee\x00\x0eAdobe" + struct.pack(">HHHB", 100, 0, 0, transform)
    end_of_app0 = 4 + struct.unpack(">H", data[4:6])[0]
    return data[:end_of_app0] + marker + data[end_of_app0:]


def jpegs(files):
    for width, height in ((157, 211), (1, 1), (8, 17), (3, 40)):
        image, name = scene(width, height), "%dx%d" % (width, height)
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                data = encode(image, "JPEG", quality=90, subsampling=subsampling, progressive=progressive)
                kind = "%d%s" % (subsampling, "p" if progressive else "b")
                files.add("rgb-%s-%s.jpg" % (name, kind), data)
        files.add("grey-%s.jpg" % name, encode(image.convert("L"), "JPEG", quality=85))
        files.add("low-%s.jpg" % name, encode(image, "JPEG", quality=10, optimize=True))
        files.add("stored-rgb-%s.jpg" % name, adobe(encode(image, "JPEG", quality=95), 0))
        cmyk = encode(image.convert("CMYK"), "JPEG", quality=92)
        files.add("cmyk-%s.jpg" % name, cmyk)
        files.add("ycck-%s.jpg" % name, adobe(cmyk, 2))


def webps(files):
    image = scene(157, 211)
    alpha = with_alpha(image)
    files.add("lossy.webp", encode(image, "WEBP", quality=70))
    files.add("lossless.webp", encode(image, "WEBP", lossless=True))
    files.add("lossy-alpha.webp", encode(alpha, "WEBP", quality=70))
    files.add("lossless-alpha.webp", encode(alpha, "WEBP", lossless=True, exact=True))
    files.add("1x1.webp", encode(scene(1, 1), "WEBP", lossless=True))
    frames = [noise(40, 30, i).convert("RGBA") for i in range(3)]
    moving = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    files.add("animated.webp", moving, frames[0].convert("RGB"))
    files.add("animated-offset.webp", *offset_animation())


def offset_animation():
    """An animation whose first frame covers part of the canvas; the rest of it is transparent."""
    small = noise(20, 10, 5)
    body = encode(small, "WEBP", lossless=True)[12:]
    u24 = lambda v: struct.pack("<I", v)[:3]
    frame = u24(6 // 2) + u24(4 // 2) + u24(19) + u24(9) + u24(100) + b"\0" + body

    def chunk(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    chunks = chunk(b"VP8X", bytes([0x12, 0, 0, 0]) + u24(39) + u24(29))
    chunks += chunk(b"ANIM", b"\0\0\0\0\0\0") + chunk(b"ANMF", frame)
    shown = Image.new("RGB", (40, 30), (255, 255, 255))
    shown.paste(small, (6, 4))
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks, shown


def pngs(files):
    image = scene(157, 211)
    files.add("rgb.png", encode(image, "PNG"), tolerance=0)
    files.add("rgba.png", encode(with_alpha(image), "PNG"))
    files.add("grey-alpha.png", encode(with_alpha(image.convert("L")), "PNG"))
    files.add("palette.png", encode(image.quantize(200), "PNG"), tolerance=0)
    files.add("bilevel.png", encode(image.convert("1"), "PNG"), tolerance=0)


def oriented(files):
    """Every EXIF orientation in every format: what a viewer shows is always the same picture."""
    upright = scene(64, 40)
    back = {
        1: None,
        2: Image.FLIP_LEFT_RIGHT,
        3: Image.ROTATE_180,
        4: Image.FLIP_TOP_BOTTOM,
        5: Image.TRANSPOSE,
        6: Image.ROTATE_90,
        7: Image.TRANSVERSE,
        8: Image.ROTATE_270,
    }
    for orientation, method in back.items():
        stored = upright.transpose(method) if method is not None else upright
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        name = "orientation-%d" % orientation
        files.add(name + ".png", encode(stored, "PNG", exif=exif.tobytes()), upright, 0)
        files.add(name + ".webp", encode(stored, "WEBP", lossless=True, exif=exif.tobytes()), upright, 0)
        data = encode(stored, "JPEG", quality=95, subsampling=0, exif=exif.tobytes())
        decoded = Image.open(io.BytesIO(data)).convert("RGB")
        undo = {6: Image.ROTATE_270, 8: Image.ROTATE_90}.get(orientation, method)
        files.add(name + ".jpg", data, decoded.transpose(undo) if undo is not None else decoded)
    for value in (0, 9, 65535):
        exif = Image.Exif()
        exif[ORIENTATION] = value
        files.add("orientation-%d.png" % value, encode(upright, "PNG", exif=exif.tobytes()), upright, 0)


def pngsuite(files, data):
    folder = os.path.join(data, "images", "pngsuite")
    for name in sorted(os.listdir(folder)):
        if name.startswith("x") or not name.endswith(".png"):
            continue
        path = os.path.join(folder, name)
        with open(path, "rb") as f:
            content = f.read()
        expected = png_expected(content)
        pillow = Image.open(path)
        if pillow.mode in ("RGB", "RGBA", "P", "L", "LA", "1") and content[24] <= 8:
            ours, theirs = expected.tobytes(), over_white(pillow).tobytes()
            worst = max(abs(a - b) for a, b in zip(ours, theirs))
            # Pillow does not scale tRNS of grey below 8 bits, and so misses the transparent value.
            known = content[24] < 8 and content[25] == 0 and "transparency" in pillow.info
            if worst > 1 and not known:
                sys.exit("%s: Pillow and the PNG decoder here differ by %d" % (name, worst))
        files.expect(path, expected, 0)


def photos(files, data):
    folder = os.path.join(data, "images", "imagenet")
    for name in sorted(os.listdir(folder))[::5]:
        if name.lower().endswith((".jpeg", ".jpg")):
            path = os.path.join(folder, name)
            files.expect(path, Image.open(path).convert("RGB"), 1)


def mosaics(out, data):
    """Large photos, put together from small ones, and a part of the last one in every orientation."""
    folder = os.path.join(data, "images", "imagenet")
    names = [name for name in sorted(os.listdir(folder)) if name.endswith(".JPEG")]
    for n in range(5):
        mosaic = Image.new("RGB", (2000, 1500))
        for i, name in enumerate(names[n::12][:16]):
            photo = ImageOps.fit(Image.open(os.path.join(folder, name)).convert("RGB"), (500, 375))
            mosaic.paste(photo, (i % 4 * 500, i // 4 * 375))
        mosaic.save(os.path.join(out, "mosaic-%d.jpg" % n), quality=90)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        turned = mosaic.crop((300, 200, 1537, 1099))
        turned.save(os.path.join(out, "turned-%d.jpg" % orientation), quality=90, exif=exif.tobytes())


# ---- resizing ---------------------------------------------------------------------------------


def shortest(width, height, size, rounding):
    """The shorter side becomes size, the other one keeps the proportions."""
    short, long = (width, height) if width <= height else (height, width)
    other = size * long / short
    other = round(other) if rounding == "nearest" else int(other)
    return (size, other) if width <= height else (other, size)


def center_crop(image, height, width, rounding):
    """Small images are padded with 0. Odd margins are halved as torchvision's center_crop or transformers'
    image_transforms.center_crop do; "nearest": the larger half is at the right or bottom."""
    w, h = image.size
    if width > w or height > h:
        extra = 1 if rounding == "transformers" else 0
        left = (width - w + extra) // 2 if width > w else 0
        top = (height - h + extra) // 2 if height > h else 0
        padded = Image.new(image.mode, (max(w, width), max(h, height)))
        padded.paste(image, (left, top))
        image, (w, h) = padded, padded.size
    top, left = (h - height) // 2, (w - width) // 2
    if rounding == "torchvision":
        top, left = int(round((h - height) / 2.0)), int(round((w - width) / 2.0))
    return image.crop((left, top, left + width, top + height))


def resize(image, size, method):
    """Along the rows first, whatever the version of Pillow: from 13 on it begins with the columns of a picture
    that loses over twice as many rows as columns."""
    return image.resize((size[0], image.height), method).resize(size, method)


def resized(image, color, mode, size, name, crop, rounding):
    image = image.convert("L") if color == "GRAY" else image
    if mode == "shortest":
        image = resize(image, shortest(*image.size, size[0], rounding), FILTERS[name])
    elif mode == "exact":
        image = resize(image, (size[1], size[0]), FILTERS[name])
    return center_crop(image, *crop, rounding) if crop[0] else image


def resize_cases():
    """(source width, source height, seed, colour, mode, (height, width), filter, crop (0, 0: none), rounding)"""
    sizes = [(1, 1), (1, 9), (9, 1), (2, 3), (3, 4), (37, 53), (64, 64), (224, 224), (225, 223), (300, 200)]
    sizes += [(641, 479), (1000, 7), (5, 1200), (97, 640), (1023, 769)]
    ways = [
        ("shortest", (64, 64), (56, 56)),
        ("shortest", (37, 37), (0, 0)),
        ("shortest", (33, 33), (48, 21)),
        ("exact", (48, 31), (0, 0)),
        ("exact", (224, 224), (201, 202)),
        ("exact", (7, 300), (0, 0)),
        ("exact", (1, 1), (0, 0)),
        ("exact", (196, 47), (0, 0)),  # 3 -> 47, 4 -> 196: rounding makes windows one sample longer
        ("exact", (50, 50), (63, 64)),
        ("none", (0, 0), (32, 33)),
        ("none", (0, 0), (301, 300)),
        ("none", (0, 0), (0, 0)),
    ]
    for seed, (width, height) in enumerate(sizes):
        for mode, size, crop in ways:
            if mode == "shortest" and not crop[0] and max(width, height) > 100 * min(width, height):
                continue
            for name in FILTERS if mode != "none" else ["bilinear"]:
                yield width, height, seed, "RGB", mode, size, name, crop, "nearest"
            yield width, height, seed, "GRAY", mode, size, "bilinear", crop, "nearest"
            for rounding in ("transformers", "torchvision"):
                yield width, height, seed, "RGB", mode, size, "bilinear", crop, rounding


def resize_references(out):
    lines, sources = [], {}
    with open(os.path.join(out, "resize.bin"), "wb") as expected:
        for width, height, seed, color, mode, size, name, crop, rounding in resize_cases():
            path = os.path.join(out, "source-%d.rgb" % seed)
            if seed not in sources:
                sources[seed] = noise(width, height, seed)
                with open(path, "wb") as f:
                    f.write(sources[seed].tobytes())
            result = resized(sources[seed], color, mode, size, name, crop, rounding)
            expected.write(result.tobytes())
            lines.append(
                "%s\t%d %d %s %s %d %d %s %d %d %s %d %d"
                % (path, width, height, color, mode, *size, name, *crop, rounding, result.height, result.width)
            )
    return lines


def write_lines(out, name, lines):
    with open(os.path.join(out, name), "w") as f:
        f.write("\n".join(lines) + "\n")


def main():
    out = os.path.abspath(sys.argv[1])
    data = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("CNNSERVE_TEST_DATA", "")
    os.makedirs(out, exist_ok=True)
    files = DecodeList(out)
    jpegs(files)
    webps(files)
    pngs(files)
    oriented(files)
    if data and os.path.isdir(data):
        data = os.path.abspath(data)
        pngsuite(files, data)
        photos(files, data)
        mosaics(out, data)
    write_lines(out, "decode.txt", files.lines)
    write_lines(out, "resize.txt", resize_references(out))
    print("Pillow %s: %d files to decode" % (Image.__version__, len(files.lines)))


if __name__ == "__main__":
    main()
