/* decode_png.c: PNG through libspng.
 *
 * The file is read twice. The first walk goes from chunk to chunk, says exactly where a truncated
 * file ends, checks the checksum of every chunk, and picks out eXIf. The second feeds libspng,
 * through its stream interface, the chunks that matter for the pixels and no other: text, profiles
 * and private chunks, which may be large or compressed and which libspng would unpack and keep,
 * never reach it.
 *
 * Samples of 8 bits and fewer are converted by libspng. It would truncate 16-bit samples, so those
 * are taken whole and rounded to nearest here. Interlaced files are put in place scanline by
 * scanline, so that no format needs a second buffer of the picture's size.
 *
 * Not done: gamma and colour profiles are ignored, as in Pillow; of an APNG the default image is
 * taken.
 */
#include "internal.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    SIGNATURE_SIZE = 8,
    CHUNK_OVERHEAD = 12 /* length, type, checksum */
};

/* A fuzzer cannot guess checksums. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
static const bool ignore_checksums = true;
#else
static const bool ignore_checksums = false;
#endif

typedef struct {
    const uint8_t *bytes; /* where the length field is */
    size_t length;        /* of the data */
} chunk;

/* What libspng reads from: the file's chunks, less those it need not see. */
typedef struct {
    const uint8_t *bytes;
    size_t size;
    size_t at;      /* of the next byte to hand out */
    size_t pending; /* bytes from there to the end of the current chunk */
} chunk_stream;

static uint32_t read_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_type(const chunk *c, const char *type) {
    return memcmp(c->bytes + 4, type, 4) == 0;
}

/* Chunks that bear on the pixels: the critical ones (upper-case first letter) and tRNS. */
static bool matters(const chunk *c) {
    return !(c->bytes[4] & 0x20) || is_type(c, "tRNS");
}

/* ---- first walk --------------------------------------------------------------------------- */

/* Reads the chunk at *at and steps behind it. */
static image_code next_chunk(const uint8_t *bytes, size_t size, size_t *at, chunk *c,
                             image_error *err) {
    size_t left = size - *at;
    uint32_t length = left >= 4 ? read_u32(bytes + *at) : 0;
    if (length > INT32_MAX)
        return image_fail(err, IMAGE_UNDECODABLE, "PNG has an impossible chunk length at byte %zu",
                          *at);
    if (left < CHUNK_OVERHEAD || left - CHUNK_OVERHEAD < length)
        return image_fail(err, IMAGE_UNDECODABLE, "PNG ends after %zu of at least %llu bytes", size,
                          (unsigned long long)*at + CHUNK_OVERHEAD + length);
    *c = (chunk){bytes + *at, length};
    uint32_t checksum = (uint32_t)crc32(0, c->bytes + 4, (uInt)length + 4);
    if (checksum != read_u32(c->bytes + 8 + length) && !ignore_checksums)
        return image_fail(err, IMAGE_UNDECODABLE,
                          "PNG has a wrong checksum in the chunk at byte %zu", *at);
    *at += CHUNK_OVERHEAD + (size_t)length;
    return IMAGE_OK;
}

/* The header, which must come first, names the size; nothing is allocated before that is known. */
static image_code check_header(const chunk *c, const image_limits *limits, image_error *err) {
    if (!is_type(c, "IHDR") || c->length != 13)
        return image_fail(err, IMAGE_UNDECODABLE, "PNG does not begin with a header (IHDR)");
    return image_check_size("PNG", read_u32(c->bytes + 8), read_u32(c->bytes + 12), limits, err);
}

/* From the signature to IEND; what comes after it is ignored. */
static image_code walk_chunks(const uint8_t *bytes, size_t size, const image_limits *limits,
                              int *orientation, image_error *err) {
    if (size < SIGNATURE_SIZE)
        return image_fail(err, IMAGE_UNDECODABLE, "PNG ends after %zu of at least %d bytes", size,
                          SIGNATURE_SIZE);
    size_t at = SIGNATURE_SIZE;
    bool exif_seen = false; /* one is allowed */
    chunk c = {0};
    image_code code = next_chunk(bytes, size, &at, &c, err);
    if (code == IMAGE_OK) code = check_header(&c, limits, err);
    while (code == IMAGE_OK && !is_type(&c, "IEND")) {
        code = next_chunk(bytes, size, &at, &c, err);
        if (code == IMAGE_OK && is_type(&c, "eXIf") && !exif_seen) {
            *orientation = exif_orientation(c.bytes + 8, c.length);
            exif_seen = true;
        }
    }
    return code;
}

/* ---- second walk -------------------------------------------------------------------------- */

/* Moves to the next chunk that matters. The first walk has checked all lengths up to IEND. */
static bool advance(chunk_stream *stream) {
    while (stream->size - stream->at >= CHUNK_OVERHEAD) {
        chunk c = {stream->bytes + stream->at, read_u32(stream->bytes + stream->at)};
        if (c.length > stream->size - stream->at - CHUNK_OVERHEAD) return false;
        if (matters(&c)) {
            stream->pending = c.length + CHUNK_OVERHEAD;
            return true;
        }
        stream->at += c.length + CHUNK_OVERHEAD;
    }
    return false;
}

/* spng_read_fn: length bytes or an error. */
static int stream_read(spng_ctx *ctx, void *user, void *dest, size_t length) {
    (void)ctx;
    chunk_stream *stream = user;
    uint8_t *out = dest;
    while (length > 0) {
        if (stream->pending == 0 && !advance(stream)) return SPNG_IO_EOF;
        size_t n = length < stream->pending ? length : stream->pending;
        memcpy(out, stream->bytes + stream->at, n);
        stream->at += n;
        stream->pending -= n;
        out += n;
        length -= n;
    }
    return 0;
}

/* ---- pixels ------------------------------------------------------------------------------- */

/* Scanlines in one of three forms. */
typedef struct {
    enum spng_format format;
    int bytes_per_pixel;
    void (*convert)(const uint8_t *in, uint8_t *out, size_t count, size_t step);
} scanline_form;

/* Each converter writes count pixels as RGB, step bytes apart. */
static void convert_grey(const uint8_t *in, uint8_t *out, size_t count, size_t step) {
    for (size_t i = 0; i < count; i++, out += step)
        out[0] = out[1] = out[2] = in[i];
}

static void convert_rgb(const uint8_t *in, uint8_t *out, size_t count, size_t step) {
    for (size_t i = 0; i < count; i++, in += 3, out += step)
        memcpy(out, in, 3);
}

static void convert_rgba(const uint8_t *in, uint8_t *out, size_t count, size_t step) {
    for (size_t i = 0; i < count; i++, in += 4, out += step)
        for (int c = 0; c < 3; c++)
            out[c] = over_white(in[c], in[3]);
}

/* Composites before it rounds: 65535 x 257 takes the product of value and alpha to 0 to 255. */
static void convert_rgba16(const uint8_t *in, uint8_t *out, size_t count, size_t step) {
    for (size_t i = 0; i < count; i++, in += 8, out += step) {
        uint16_t v[4];
        memcpy(v, in, sizeof(v));
        for (int c = 0; c < 3; c++) {
            uint64_t over = (uint64_t)v[c] * v[3] + 65535u * (uint64_t)(65535 - v[3]);
            out[c] = (uint8_t)((over + 65535u * 257u / 2) / (65535u * 257u));
        }
    }
}

static scanline_form form_for(const struct spng_ihdr *ihdr, bool has_trns) {
    bool alpha = has_trns || ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ||
                 ihdr->color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
    if (ihdr->bit_depth == 16) return (scanline_form){SPNG_FMT_RGBA16, 8, convert_rgba16};
    if (alpha) return (scanline_form){SPNG_FMT_RGBA8, 4, convert_rgba};
    if (ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE)
        return (scanline_form){SPNG_FMT_G8, 1, convert_grey};
    return (scanline_form){SPNG_FMT_RGB8, 3, convert_rgb};
}

static image_code spng_failed(int error, image_error *err) {
    if (error == SPNG_EMEM) return image_fail(err, IMAGE_MEMORY, "no memory to decode a PNG");
    if (error == SPNG_EIDAT_TOO_SHORT)
        return image_fail(err, IMAGE_UNDECODABLE, "PNG has too little pixel data for its size");
    return image_fail(err, IMAGE_UNDECODABLE, "PNG cannot be decoded: %s", spng_strerror(error));
}

/* The columns an interlace pass covers: first, distance and, in a width, how many. */
static void pass_columns(int pass, bool interlaced, size_t width, size_t *first, size_t *distance,
                         size_t *count) {
    static const uint8_t start[7] = {0, 4, 0, 2, 0, 1, 0};
    static const uint8_t delta[7] = {8, 8, 4, 4, 2, 2, 1};
    *first = interlaced ? start[pass] : 0;
    *distance = interlaced ? delta[pass] : 1;
    *count = width > *first ? (width - *first + *distance - 1) / *distance : 0;
}

/* Decodes all scanlines into img; line holds the longest of them. Returns libspng's error. */
static int read_scanlines(spng_ctx *ctx, const struct spng_ihdr *ihdr, const scanline_form *form,
                          uint8_t *line, image *img) {
    size_t width = (size_t)img->width;
    size_t line_bytes = width * (size_t)form->bytes_per_pixel;
    int error;
    do {
        struct spng_row_info row;
        if ((error = spng_get_row_info(ctx, &row))) return error;
        if (row.row_num >= ihdr->height || row.pass < 0 || row.pass > 6) return SPNG_EINTERNAL;
        uint8_t *out = img->pixels + (size_t)row.row_num * width * 3;
        size_t first, distance, count;
        pass_columns(row.pass, ihdr->interlace_method, width, &first, &distance, &count);
        bool direct = form->format == SPNG_FMT_RGB8 && distance == 1;
        error = spng_decode_scanline(ctx, direct ? out : line, direct ? width * 3 : line_bytes);
        if (error && error != SPNG_EOI) return error;
        if (!direct) form->convert(line, out + first * 3, count, distance * 3);
    } while (error == 0);
    return spng_decode_chunks(ctx);
}

/* The first walk has passed the size. */
static image_code decode_pixels(spng_ctx *ctx, image *img, image_error *err) {
    struct spng_ihdr ihdr;
    struct spng_trns trns;
    int error = spng_get_ihdr(ctx, &ihdr);
    if (error) return spng_failed(error, err);
    bool has_trns = spng_get_trns(ctx, &trns) == 0;
    scanline_form form = form_for(&ihdr, has_trns);
    error = spng_decode_image(ctx, NULL, 0, (int)form.format,
                              SPNG_DECODE_TRNS | SPNG_DECODE_PROGRESSIVE);
    if (error) return spng_failed(error, err);

    image_code code = image_alloc_pixels(img, (int)ihdr.width, (int)ihdr.height, 3, err);
    if (code != IMAGE_OK) return code;
    uint8_t *line = malloc((size_t)ihdr.width * (size_t)form.bytes_per_pixel);
    error = line ? read_scanlines(ctx, &ihdr, &form, line, img) : SPNG_EMEM;
    free(line);
    return error ? spng_failed(error, err) : IMAGE_OK;
}

image_code decode_png(const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                      int *orientation, image_error *err) {
    int found = 1;
    image_code code = walk_chunks(bytes, size, limits, &found, err);
    if (code != IMAGE_OK) return code;
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx) return image_fail(err, IMAGE_MEMORY, "no memory to decode a PNG");
    /* The signature comes first, and to advance() it is a chunk's rest like any other. */
    chunk_stream stream = {bytes, size, 0, SIGNATURE_SIZE};
    image img = {0};
    if (ignore_checksums) spng_set_crc_action(ctx, SPNG_CRC_USE, SPNG_CRC_USE);
    int error = spng_set_png_stream(ctx, stream_read, &stream);
    code = error ? spng_failed(error, err) : decode_pixels(ctx, &img, err);
    spng_ctx_free(ctx);
    if (code == IMAGE_OK) code = orient_upright(&img, found, err);
    if (code != IMAGE_OK) {
        image_free(&img);
        return code;
    }
    *out = img;
    *orientation = found;
    return IMAGE_OK;
}
