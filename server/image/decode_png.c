/* decode_png.c: PNG through libspng.
 *
 * One reader goes from chunk to chunk. It says exactly where a truncated file ends, checks
 * checksums, picks out eXIf, and hands libspng, through its stream interface, the chunks that the
 * pixels need and no other: text, profiles and private chunks, which may be large or compressed and
 * which libspng would unpack and keep, never reach it.
 *
 * What damage is forgiven is Pillow's choice: up to the end of the pixels every checksum must be
 * right (Pillow does not look at those of the pixels themselves), and unknown chunks are passed
 * over, critical ones too. What lies behind the pixels is read for eXIf alone, and may be damaged
 * or missing, also the end of the last chunk of pixels if none of them needs it.
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
    CHUNK_HEADER = 8,    /* length, type */
    CHUNK_OVERHEAD = 12, /* and a checksum behind the data */
    HEADER_SIZE = 13,    /* of IHDR's data */
    COLOR_TYPE_AT = 9    /* in them */
};

/* A fuzzer cannot guess checksums. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
static const bool ignore_checksums = true;
#else
static const bool ignore_checksums = false;
#endif

typedef struct {
    const uint8_t *type; /* four letters */
    const uint8_t *data;
    size_t length; /* of the data that are there */
    bool whole;
    uint32_t checksum; /* of what is there */
} chunk;

typedef struct {
    const uint8_t *bytes;
    size_t left;
} piece;

/* Goes through the file's chunks for libspng to read from. */
typedef struct {
    const uint8_t *bytes;
    size_t size;
    size_t at;              /* of the next chunk */
    unsigned long long end; /* of the last chunk that has been begun */
    const image_limits *limits;
    bool begun;       /* IHDR has been seen */
    bool has_palette; /* by IHDR, the pixels are indices */
    bool pixels_done; /* libspng has all it needs */
    int orientation;  /* of the eXIf found so far */
    piece pieces[3];  /* to be handed out before the next chunk is looked for */
    uint8_t header[CHUNK_HEADER], checksum[4]; /* the first of them, the last */
    image_code code;                           /* why there is no next chunk */
    image_error *err;
} png_reader;

static uint32_t read_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write_u32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static bool is_type(const chunk *c, const char *type) {
    return memcmp(c->type, type, 4) == 0;
}

/* ---- chunks ------------------------------------------------------------------------------- */

/* Records the failure; false. */
#define reader_fail(r, failure, ...)                                                               \
    ((r)->code = image_fail((r)->err, (failure), __VA_ARGS__), false)

/* The chunk at r->at, as far as it is there. False if not even its header is, and behind one that
 * is cut off. */
static bool begin_chunk(png_reader *r, chunk *c) {
    if (r->end > r->size) return false;
    size_t left = r->size - r->at;
    const uint8_t *header = r->bytes + r->at;
    size_t length = left >= 4 ? read_u32(header) : 0;
    r->end = (unsigned long long)r->at + CHUNK_OVERHEAD + length;
    if (left < CHUNK_HEADER) return false;
    *c = (chunk){header + 4, header + CHUNK_HEADER, length, r->end <= r->size, 0};
    if (length > left - CHUNK_HEADER) c->length = left - CHUNK_HEADER;
    r->at = c->whole ? (size_t)r->end : r->size;
    return true;
}

static uint32_t checksum_of(const chunk *c) {
    return (uint32_t)crc32(crc32(0, c->type, 4), c->data, (uInt)c->length);
}

static image_code ends_early(const png_reader *r) {
    return image_fail(r->err, IMAGE_UNDECODABLE, "PNG ends after %zu of at least %llu bytes",
                      r->size, r->end);
}

/* The next chunk up to the end of the pixels. Of their own, also what there is of one cut off. */
static bool next_chunk(png_reader *r, chunk *c) {
    size_t at = r->at;
    bool begins = begin_chunk(r, c);
    if (r->end - at > (unsigned long long)INT32_MAX + CHUNK_OVERHEAD)
        return reader_fail(r, IMAGE_UNDECODABLE, "PNG has an impossible chunk length at byte %zu",
                           at);
    if (!begins || !(c->whole || is_type(c, "IDAT"))) {
        r->code = ends_early(r);
        return false;
    }
    c->checksum = checksum_of(c);
    if (c->whole && c->checksum != read_u32(c->data + c->length) && !ignore_checksums)
        return reader_fail(r, IMAGE_UNDECODABLE,
                           "PNG has a wrong checksum in the chunk at byte %zu", at);
    return true;
}

/* Of the chunks that matter, the header must come first. It names the size; nothing is allocated
 * before that is known. */
static bool check_header(png_reader *r, const chunk *c) {
    if (!is_type(c, "IHDR") || c->length != HEADER_SIZE)
        return reader_fail(r, IMAGE_UNDECODABLE, "PNG does not begin with a header (IHDR)");
    r->code = image_check_size("PNG", read_u32(c->data), read_u32(c->data + 4), r->limits, r->err);
    r->begun = true;
    r->has_palette = c->data[COLOR_TYPE_AT] == SPNG_COLOR_TYPE_INDEXED;
    return r->code == IMAGE_OK;
}

static bool refuse_cgbi(png_reader *r) {
    return reader_fail(r, IMAGE_UNSUPPORTED,
                       "PNG in Apple's CgBI form (as Xcode packs into apps) is not supported; "
                       "convert it with pngcrush -revert-iphone-optimizations");
}

/* Chunks that bear on the pixels. */
static bool matters(const png_reader *r, const chunk *c) {
    return is_type(c, "IHDR") || (is_type(c, "PLTE") && r->has_palette) || is_type(c, "tRNS") ||
           is_type(c, "IDAT") || is_type(c, "IEND");
}

/* Lays out the chunk for libspng: one that is cut off as if it had to end there. */
static void hand_out(png_reader *r, const chunk *c) {
    write_u32(r->header, (uint32_t)c->length);
    memcpy(r->header + 4, c->type, 4);
    write_u32(r->checksum, c->checksum);
    r->pieces[0] = (piece){r->header, sizeof(r->header)};
    r->pieces[1] = (piece){c->data, c->length};
    r->pieces[2] = (piece){r->checksum, sizeof(r->checksum)};
}

/* Goes to the next chunk that matters. */
static bool advance(png_reader *r) {
    for (chunk c; next_chunk(r, &c);) {
        if (is_type(&c, "CgBI")) return refuse_cgbi(r);
        if (is_type(&c, "eXIf")) r->orientation = exif_orientation(c.data, c.length);
        if (!matters(r, &c)) continue;
        if ((!r->begun || is_type(&c, "IHDR")) && !check_header(r, &c)) return false;
        hand_out(r, &c);
        return true;
    }
    return false;
}

/* Behind the pixels: reads to the end, wherever that is, and takes eXIf as it is. */
static void finish(png_reader *r) {
    static const uint8_t end_type[4] = {'I', 'E', 'N', 'D'};
    const chunk end = {.type = end_type, .checksum = (uint32_t)crc32(0, end_type, 4)};
    chunk c;
    while (begin_chunk(r, &c) && !is_type(&c, "IEND"))
        if (is_type(&c, "eXIf")) r->orientation = exif_orientation(c.data, c.length);
    hand_out(r, &end);
}

/* spng_read_fn: length bytes or an error. */
static int stream_read(spng_ctx *ctx, void *user, void *dest, size_t length) {
    (void)ctx;
    png_reader *r = user;
    uint8_t *out = dest;
    while (length > 0) {
        piece *p = r->pieces;
        while (p < r->pieces + 3 && p->left == 0)
            p++;
        if (p == r->pieces + 3) {
            if (r->pixels_done)
                finish(r);
            else if (!advance(r))
                return SPNG_IO_EOF;
            continue;
        }
        size_t n = length < p->left ? length : p->left;
        memcpy(out, p->bytes, n);
        *p = (piece){p->bytes + n, p->left - n};
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

/* The reader may have the better reason. */
static image_code spng_failed(const png_reader *r, int error) {
    image_error *err = r->err;
    if (r->code != IMAGE_OK) return r->code;
    if (error == SPNG_EMEM) return image_fail(err, IMAGE_MEMORY, "no memory to decode a PNG");
    if (r->end > r->size && !r->pixels_done) return ends_early(r);
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
    return 0;
}

/* libspng checks what is left of the compressed data and wants to see the end. */
static int read_trailer(spng_ctx *ctx, png_reader *r) {
    r->pixels_done = true;
    return spng_decode_chunks(ctx);
}

/* The reader passes only a size within the limits. */
static image_code decode_pixels(spng_ctx *ctx, png_reader *r, image *img) {
    struct spng_ihdr ihdr;
    struct spng_trns trns;
    int error = spng_get_ihdr(ctx, &ihdr);
    if (error) return spng_failed(r, error);
    int no_trns = spng_get_trns(ctx, &trns);
    if (no_trns && no_trns != SPNG_ECHUNKAVAIL) return spng_failed(r, no_trns);
    scanline_form form = form_for(&ihdr, !no_trns);
    error = spng_decode_image(ctx, NULL, 0, (int)form.format,
                              SPNG_DECODE_TRNS | SPNG_DECODE_PROGRESSIVE);
    if (error) return spng_failed(r, error);

    image_code code = image_alloc_pixels(img, (int)ihdr.width, (int)ihdr.height, 3, r->err);
    if (code != IMAGE_OK) return code;
    uint8_t *line = malloc((size_t)ihdr.width * (size_t)form.bytes_per_pixel);
    error = line ? read_scanlines(ctx, &ihdr, &form, line, img) : SPNG_EMEM;
    free(line);
    if (!error) error = read_trailer(ctx, r);
    return error ? spng_failed(r, error) : IMAGE_OK;
}

image_code decode_png(const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                      int *orientation, image_error *err) {
    if (size < SIGNATURE_SIZE)
        return image_fail(err, IMAGE_UNDECODABLE, "PNG ends after %zu of at least %d bytes", size,
                          SIGNATURE_SIZE);
    png_reader reader = {.bytes = bytes,
                         .size = size,
                         .at = SIGNATURE_SIZE,
                         .limits = limits,
                         .orientation = 1,
                         .pieces = {{bytes, SIGNATURE_SIZE}},
                         .err = err};
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx) return image_fail(err, IMAGE_MEMORY, "no memory to decode a PNG");
    image img = {0};
    if (ignore_checksums) spng_set_crc_action(ctx, SPNG_CRC_USE, SPNG_CRC_USE);
    int error = spng_set_png_stream(ctx, stream_read, &reader);
    image_code code = error ? spng_failed(&reader, error) : decode_pixels(ctx, &reader, &img);
    spng_ctx_free(ctx);
    if (code == IMAGE_OK) code = orient_upright(&img, reader.orientation, err);
    if (code != IMAGE_OK) {
        image_free(&img);
        return code;
    }
    *out = img;
    *orientation = reader.orientation;
    return IMAGE_OK;
}
