#!/usr/bin/env python3
"""Writes what Pillow makes of images, for tests/image to compare with.

    make_reference.py OUT [DATA]

OUT gets image files made here (JPEG and WebP of every kind, PNG and WebP with EXIF, damaged files), the pixels
expected of them, and resized pixels. DATA is the folder of CNNSERVE_TEST_DATA; without it, references for files that
lie there are left out. Needs Pillow and nothing else. The same input gives the same output.

decode.txt   one line per file: PATH, RAW (each ended by a tab), WIDTH HEIGHT TOLERANCE; RAW holds (height, width, 3) bytes
refused.txt  one line per file that is not to be decoded: PATH, and what the message begins with
resize.txt   one line per case, see resize_cases(); the expected bytes of all cases, one after the other, are
             in resize.bin
"""
import io
import os
import random
import struct
import sys
import warnings
import zlib

from PIL import Image, ImageDraw, ImageOps
from PIL import __version__ as PILLOW

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
        self.out, self.lines, self.refused = out, [], []

    def expect(self, path, image, tolerance):
        raw = os.path.join(self.out, "expected-%03d.rgb" % len(self.lines))
        with open(raw, "wb") as f:
            f.write(image.tobytes())
        self.lines.append("%s\t%s\t%d %d %d" % (path, raw, *image.size, tolerance))

    def write(self, name, data):
        path = os.path.join(self.out, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def add(self, name, data, image=None, tolerance=1):
        """A file made here; image is what it shows, by default what Pillow says."""
        self.expect(self.write(name, data), image or over_white(Image.open(io.BytesIO(data))), tolerance)

    def refuse(self, name, data, message):
        self.refused.append("%s\t%s" % (self.write(name, data), message))


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


# ---- orientations as they should not be written -------------------------------------------------

UPRIGHT = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.ROTATE_180),
    4: lambda image: image.transpose(Image.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.TRANSPOSE),
    6: lambda image: image.transpose(Image.ROTATE_270),
    7: lambda image: image.transpose(Image.TRANSVERSE),
    8: lambda image: image.transpose(Image.ROTATE_90),
}
SHORT, LONG, RATIONAL = 3, 4, 5


def entry(kind, count, value, order="<", tag=ORIENTATION):
    return struct.pack(order + "HHI", tag, kind, count) + value


def short(value, order="<"):
    return struct.pack(order + "HH", value, 0)


def long(value, order="<"):
    return struct.pack(order + "I", value)


def tiff(entries, order="<", magic=42, gap=b"", next_ifd=0, behind=b""):
    """An EXIF block; with one entry and no gap, `behind` begins at byte 26."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", magic, 8 + len(gap)) + gap
    return head + struct.pack(order + "H", len(entries)) + b"".join(entries) + long(next_ifd, order) + behind


def one(kind, count, value, behind=b""):
    return tiff([entry(kind, count, value)], behind=behind)


def odd_exif():
    """name -> (block, the orientation it gives by the ImageOps.exif_transpose of Pillow 13)"""
    make = entry(2, 4, b"abc\0", tag=0x010F)
    ifd = struct.pack("<H", 1) + entry(SHORT, 1, short(6)) + long(0)
    three = struct.pack("<3H", 8, 1, 1)
    return {
        "count-0": (one(SHORT, 0, short(6)), 1),
        "count-2": (one(SHORT, 2, struct.pack("<HH", 6, 3)), 6),
        "count-2-big-endian": (tiff([entry(SHORT, 2, struct.pack(">HH", 6, 3), ">")], ">"), 6),
        "count-3": (one(SHORT, 3, long(26), three), 8),
        "count-3-outside": (one(SHORT, 3, long(23), three), 1),
        "count-3-far-outside": (one(SHORT, 3, long(0xFFFFFFF0), three), 1),
        "count-huge": (one(SHORT, 0xFFFFFFFF, long(26), three), 1),
        "count-overflow": (one(SHORT, 0x80000000, short(6)), 1),
        "byte": (one(1, 1, long(6)), 1),
        "text": (one(2, 2, b"6\0\0\0"), 1),
        "long": (one(LONG, 1, long(6)), 6),
        "long-beyond": (one(LONG, 1, long(0x10006)), 1),
        "long-count-2": (one(LONG, 2, long(26), struct.pack("<II", 5, 1)), 5),
        "rational": (one(RATIONAL, 1, long(26), struct.pack("<II", 12, 2)), 6),
        "rational-between": (one(RATIONAL, 1, long(26), struct.pack("<II", 13, 2)), 1),
        "rational-by-0": (one(RATIONAL, 1, long(26), struct.pack("<II", 6, 0)), 1),
        "signed-byte": (one(6, 1, long(6)), 6),
        "signed-short": (one(8, 1, short(6)), 6),
        "signed-long": (one(9, 1, long(6)), 6),
        "signed-rational": (one(10, 1, long(26), struct.pack("<ii", -6, -1)), 6),
        "float": (one(11, 1, struct.pack("<f", 6)), 6),
        "double": (one(12, 1, long(26), struct.pack("<d", 7)), 7),
        "double-big-endian": (tiff([entry(12, 1, long(26, ">"), ">")], ">", behind=struct.pack(">d", 7)), 7),
        "ifd": (one(13, 1, long(6)), 6),
        "undefined": (one(7, 1, long(6)), 1),
        "no-format": (one(99, 1, long(6)), 1),
        "swapped-42": (tiff([entry(SHORT, 1, short(6))], magic=0x2A00), 6),
        "odd-offset": (tiff([entry(SHORT, 1, short(6))], gap=b"x"), 6),
        "far-offset": (tiff([entry(SHORT, 1, short(6))], gap=bytes(500)), 6),
        "ifd-1-only": (tiff([make], next_ifd=26, behind=ifd), 1),
        "ifd-1-other": (tiff([entry(SHORT, 1, short(3))], next_ifd=26, behind=ifd), 3),
        "twice": (tiff([entry(SHORT, 1, short(6)), entry(SHORT, 1, short(3))]), 6),
        "twice-first-empty": (tiff([entry(SHORT, 0, short(6)), entry(SHORT, 1, short(3))]), 3),
        "entries-missing": (one(SHORT, 1, short(6)).replace(b"\1\0\x12\1", b"\5\0\x12\1")[:-4], 6),
    }


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def exif_segment(block):
    return segment(0xE1, b"Exif\0\0" + block)


def png_chunk(kind, data, checksum=None):
    right = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + (checksum or right)


def webp_with_exif(data, block):
    """A lossless WebP of 64 x 40 pixels, as Pillow writes it, in the form that has room for EXIF."""
    u24 = lambda v: struct.pack("<I", v)[:3]
    chunks = b"VP8X" + struct.pack("<I", 10) + bytes([8, 0, 0, 0]) + u24(63) + u24(39) + data[12:]
    chunks += b"EXIF" + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


class Oddities:
    """The same picture of 64 x 40 pixels in every format."""

    def __init__(self):
        picture = scene(64, 40)
        self.jpeg = encode(picture, "JPEG", quality=95, subsampling=0)
        self.progressive = encode(picture, "JPEG", quality=95, progressive=True)
        self.png = encode(picture, "PNG")
        self.webp = encode(picture, "WEBP", lossless=True)
        self.first_table = 20  # in both JPEGs: behind SOI and JFIF
        self.pixels = 33  # in the PNG: behind the header
        self.end = len(self.png) - 12  # of its pixels

    def jpeg_with(self, inserted):
        return self.jpeg[: self.first_table] + inserted + self.jpeg[self.first_table :]

    def png_with(self, inserted):
        return self.png[: self.pixels] + inserted + self.png[self.pixels :]

    def png_ending(self, trailer):
        return self.png[: self.end] + trailer

    def stored(self, data):
        return Image.open(io.BytesIO(data)).convert("RGB")


def add_turned(files, name, data, stored, orientation, pillow=True, tolerance=0):
    """pillow: it reads the file in the same way."""
    expected = UPRIGHT[orientation](stored)
    if pillow:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        if theirs.tobytes() != expected.tobytes():
            sys.exit("%s: Pillow %s turns it otherwise" % (name, PILLOW))
    files.add(name, data, expected, tolerance)


def odd_orientations(files):
    odd = Oddities()
    jpeg, webp = odd.stored(odd.jpeg), odd.stored(odd.webp)
    version = int(PILLOW.split(".")[0])
    for name, (block, orientation) in odd_exif().items():
        pillow = version >= 13 or name != "twice"  # before, the last one counted
        for path, data, stored, tolerance in (
            (name + ".jpg", odd.jpeg_with(exif_segment(block)), jpeg, 1),
            (name + ".png", odd.png_with(png_chunk(b"eXIf", block)), webp, 0),
            (name + ".webp", webp_with_exif(odd.webp, block), webp, 0),
        ):
            add_turned(files, "exif-" + path, data, stored, orientation, pillow, tolerance)
    six, three = one(SHORT, 1, short(6)), one(SHORT, 1, short(3))
    xmp = b"<x:xmpmeta><rdf:Description tiff:Orientation='8'/></x:xmpmeta>"
    xmp_segment = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    nothing = tiff([entry(2, 4, b"abc\0", tag=0x010F)])
    exif = exif_segment(six)
    # What stands before the EXIF block, or what there is of it. Pillow 9 has not learnt all of this yet.
    for name, inserted, orientation, since in (
        ("fill", b"\xff" * 7 + exif, 6, 0),
        ("junk", b"junk" + exif, 6, 0),
        ("stuffed-junk", b"ab\xff\0cd" + exif, 6, 0),
        ("zeros", bytes(3) + exif + b"\xff\0\xff\0", 6, 0),
        ("restart", b"\xff\xd0" + exif, 6, 0),
        ("junk-behind-comment", segment(0xFE, b"abc") + b"zz" + exif, 6, 0),
        ("length-0", b"\xff\xe1\0\0" + exif, 6, 13),
        ("empty-app1", segment(0xE1, b"") + exif, 6, 0),
        ("xmp-first", xmp_segment + exif, 6, 0),
        ("two", exif + exif_segment(three), 6, 0),
        ("two-first-empty", exif_segment(b"") + exif_segment(three), 3, 13),
        ("two-first-without", exif_segment(nothing) + exif_segment(three), 1, 0),
        ("split", exif_segment(six[:14]) + exif_segment(six[14:]), 6, 13),
        ("prefix-twice", exif_segment(b"Exif\0\0" + six), 6, 13),
        ("no-prefix", segment(0xE1, six), 1, 0),
        ("other-prefix", segment(0xE1, b"Exif\0\xff" + six), 1, 0),
        ("app2", segment(0xE2, b"Exif\0\0" + six), 1, 0),
        # browsers do not turn these; they pass over a block that is none, where Pillow gives up
        ("xmp-only", xmp_segment, 1, None),
        ("two-first-garbage", exif_segment(b"garbage!") + exif_segment(three), 3, None),
    ):
        pillow = since is not None and version >= since
        add_turned(files, "marker-%s.jpg" % name, odd.jpeg_with(inserted), jpeg, orientation, pillow, 1)
    scan = odd.jpeg.index(b"\xff\xda")
    add_turned(files, "marker-last.jpg", odd.jpeg[:scan] + exif + odd.jpeg[scan:], jpeg, 6, tolerance=1)
    add_turned(files, "marker-behind.jpg", odd.jpeg[:-2] + exif + odd.jpeg[-2:], jpeg, 1, tolerance=1)
    second = odd.progressive.index(b"\xff\xda", odd.progressive.index(b"\xff\xda") + 2)
    between = odd.progressive[:second] + exif + odd.progressive[second:]
    add_turned(files, "marker-between.jpg", between, odd.stored(odd.progressive), 1, tolerance=1)

    chunk, end = png_chunk(b"eXIf", six), odd.png[odd.end :]
    other = png_chunk(b"eXIf", three)
    profile = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 32\n" + (b"Exif\0\0" + six).hex().encode())
    for name, data, orientation, since in (
        ("prefix", odd.png_with(png_chunk(b"eXIf", b"Exif\0\0" + six)), 6, 12),
        ("behind", odd.png_ending(chunk + end), 6, 0),
        ("behind-checksum", odd.png_ending(png_chunk(b"eXIf", six, b"oops") + end), 6, 0),
        ("behind-no-end", odd.png_ending(chunk), 6, 0),
        ("behind-cut", odd.png_ending(chunk[:-8]), 6, None),
        ("behind-end", odd.png + chunk, 1, 0),
        ("two", odd.png_with(chunk + other), 3, 0),
        ("two-apart", odd.png_with(chunk)[:-12] + other + end, 3, 12),
        ("garbage", odd.png_with(png_chunk(b"eXIf", b"garbage!")), 1, None),
        ("empty", odd.png_with(png_chunk(b"eXIf", b"")), 1, 0),
        ("text", odd.png_with(png_chunk(b"zTXt", profile)), 1, None),
        ("xmp", odd.png_with(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)), 1, None),
    ):
        add_turned(files, "chunk-%s.png" % name, data, webp, orientation, since is not None and version >= since)
    for name, block, pillow in (("garbage", b"garbage!", False), ("empty", b"", True)):
        add_turned(files, "chunk-%s.webp" % name, webp_with_exif(odd.webp, block), webp, 1, pillow)


# ---- damage -------------------------------------------------------------------------------------


def damaged_jpegs(files):
    odd = Oddities()
    grey = encode(scene(64, 40).convert("L"), "JPEG")
    ends = {
        "nothing": b"",
        "half": b"\xff",
        "zeros": bytes(500),
        "ones": b"\xff" * 500,
        "text": b"this is no marker",
        "comment-cut": b"\xff\xfe\x01\0abc",
        "app1-cut": b"\xff\xe1\x01\0Exif",
    }
    for kind, whole in (("baseline", odd.jpeg), ("progressive", odd.progressive), ("grey", grey)):
        shown = odd.stored(whole)
        files.add("trailing-%s.jpg" % kind, whole + b"junk" * 50, shown)
        for name, end in ends.items():
            files.add("no-end-%s-%s.jpg" % (kind, name), whole[:-2] + end, shown)
        for cut in (4, 12, 100):
            files.refuse("cut-%d-%s.jpg" % (cut, kind), whole[:-cut], "JPEG ends after")
            files.refuse("cut-%d-%s-zeros.jpg" % (cut, kind), whole[:-cut] + bytes(500), "JPEG ends after")
            files.refuse("cut-%d-%s-ones.jpg" % (cut, kind), whole[:-cut] + b"\xff" * 99, "JPEG ends after")
    for name, end in (("tables", b"\xff\xc4\0\5abc"), ("start", b"\xff\xd8\xff\xe0"), ("marker", b"\xff\2")):
        files.add("no-end-baseline-%s.jpg" % name, odd.jpeg[:-2] + end, odd.stored(odd.jpeg))
    scan = odd.progressive.rindex(b"\xff\xda")
    for name, end in (("nothing", b""), ("zeros", bytes(99))):
        files.refuse("no-last-scan-%s.jpg" % name, odd.progressive[:scan] + end, "JPEG ends after")
    files.refuse("header-only.jpg", odd.jpeg[: odd.first_table], "JPEG ends after 20 bytes")
    files.refuse("header-cut.jpg", odd.jpeg[: odd.first_table + 9] + bytes(9), "JPEG ends after 38 bytes")


def damaged_pngs(files):
    odd = Oddities()
    shown, end, bad = odd.stored(odd.png), odd.png[odd.end :], b"oops"
    chunks = {
        b"tEXt": b"key\0value",
        b"zTXt": b"key\0\0" + zlib.compress(b"value"),
        b"iCCP": b"name\0\0" + zlib.compress(b"profile"),
        b"gAMA": struct.pack(">I", 45455),
        b"pHYs": bytes(9),
        b"prVt": b"private",
        b"CRIT": b"critical",
    }
    for kind, data in chunks.items():
        name = kind.decode()
        files.add("before-%s.png" % name, odd.png_with(png_chunk(kind, data)), shown, 0)
        files.add("behind-%s.png" % name, odd.png_ending(png_chunk(kind, data) + end), shown, 0)
        files.add("behind-%s-checksum.png" % name, odd.png_ending(png_chunk(kind, data, bad) + end), shown, 0)
        wrong = odd.png_with(png_chunk(kind, data, bad))
        files.refuse("before-%s-checksum.png" % name, wrong, "PNG has a wrong checksum in the chunk at byte 33")
    for kind in (b"zTXt", b"iCCP"):
        name = "before-%s-stream.png" % kind.decode()
        files.add(name, odd.png_with(png_chunk(kind, b"key\0\0no stream")), shown, 0)
    for name, trailer in (
        ("nothing", b""),
        ("half", end[:6]),
        ("checksum", end[:8] + bad),
        ("zeros", bytes(500)),
        ("text", b"junk that is no chunk"),
        ("text-cut", png_chunk(b"tEXt", b"key\0value")[:-7]),
        ("long", b"\xff\xff\xff\xfftEXtabc"),
        ("data", png_chunk(b"IEND", b"data")),
        ("more", end + b"junk" * 50),
    ):
        files.add("end-%s.png" % name, odd.png_ending(trailer), shown, 0)
    for cut in (13, 16, 18, 20):  # of the checksums of the chunk, and of the compressed data
        files.add("end-cut-%d.png" % cut, odd.png[:-cut], shown, 0)
    for cut in (40, 100):
        files.refuse("cut-%d.png" % cut, odd.png[:-cut], "PNG ends after %d of" % (len(odd.png) - cut))
    header, pixels = odd.png[8:33], odd.png[41 : odd.end - 4]
    files.refuse("checksum-IHDR.png", odd.png[:29] + bad + odd.png[33:], "PNG has a wrong checksum")
    files.refuse("checksum-IDAT.png", odd.png[:33] + png_chunk(b"IDAT", pixels, bad) + end, "PNG has a wrong checksum")
    files.refuse("adler.png", odd.png[:33] + png_chunk(b"IDAT", pixels[:-4] + bad) + end, "PNG cannot be decoded")
    small = encode(scene(20, 10).quantize(20), "PNG")
    palette = small.index(b"PLTE") - 4
    length = struct.unpack(">I", small[palette : palette + 4])[0]
    checksum = palette + 8 + length
    wrong = small[:checksum] + bad + small[checksum + 4 :]
    files.refuse("checksum-PLTE.png", wrong, "PNG has a wrong checksum")
    files.refuse("no-PLTE.png", small[:palette] + small[checksum + 4 :], "PNG cannot be decoded: missing PLTE")
    files.add("unused-PLTE.png", odd.png_with(png_chunk(b"PLTE", bytes(10))), shown, 0)
    cgbi = odd.png[:8] + png_chunk(b"CgBI", b"\x50\0\x20\2") + header + odd.png[33:]
    files.refuse("cgbi.png", cgbi, "PNG in Apple's CgBI form")


def damaged_webps(files):
    odd = Oddities()
    whole, shown = odd.webp, odd.stored(odd.webp)
    size = lambda data, more: data[:4] + struct.pack("<I", len(data) - 8 + more) + data[8:]
    turned = webp_with_exif(whole, one(SHORT, 1, short(6)))
    files.add("trailing.webp", whole + b"junk" * 10, shown, 0)
    files.add("turned-trailing.webp", turned + b"zz", UPRIGHT[6](shown), 0)
    files.refuse("claims-more.webp", size(whole, 100), "WebP ends after")
    files.refuse("cut.webp", whole[:-40], "WebP ends after")
    files.refuse("turned-cut.webp", turned[:-10], "WebP ends after")


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
    odd_orientations(files)
    damaged_jpegs(files)
    damaged_pngs(files)
    damaged_webps(files)
    if data and os.path.isdir(data):
        data = os.path.abspath(data)
        pngsuite(files, data)
        photos(files, data)
        mosaics(out, data)
    write_lines(out, "decode.txt", files.lines)
    write_lines(out, "refused.txt", files.refused)
    write_lines(out, "resize.txt", resize_references(out))
    print("Pillow %s: %d files to decode" % (PILLOW, len(files.lines)))


if __name__ == "__main__":
    main()
