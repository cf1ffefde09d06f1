/* internal.h: what the files of the image library share. */
#ifndef CNNSERVE_IMAGE_INTERNAL_H
#define CNNSERVE_IMAGE_INTERNAL_H

#include "image.h"

/* ---- errors (error.c) --------------------------------------------------------------------- */

/* Fills *err if err is not NULL; returns code, so that a failure is one return statement. */
image_code image_fail(image_error *err, image_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Compilers and analysers see that the result is `code`. */
static inline image_code image_failed(image_code code) {
    return code;
}
#define image_fail(err, code, ...) (image_fail((err), (code), __VA_ARGS__), image_failed(code))

/* ---- the signature (sniff.c) -------------------------------------------------------------- */

typedef enum {
    FORMAT_UNKNOWN,
    FORMAT_JPEG,
    FORMAT_PNG,
    FORMAT_PNG_DAMAGED, /* a PNG whose signature a transfer in text mode, or chance, has changed */
    FORMAT_WEBP,
    FORMAT_FOREIGN /* recognised, not decoded here */
} file_format;

/* *foreign_name is set for FORMAT_FOREIGN only; a constant such as "GIF". */
file_format sniff_format(const uint8_t *bytes, size_t size, const char **foreign_name);

/* ---- decoders (decode_*.c) ---------------------------------------------------------------- */

/* Each decodes size bytes of its format to an upright image; *orientation, 1 to 8, is what has been
 * applied. Both out parameters are written only on success. limits is complete (no zeros). */
image_code decode_jpeg(const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                       int *orientation, image_error *err);
image_code decode_png(const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                      int *orientation, image_error *err);
image_code decode_webp(const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                       int *orientation, image_error *err);

/* IMAGE_OK if an image of this size may be decoded. format is for the message: "JPEG". */
image_code image_check_size(const char *format, uint64_t width, uint64_t height,
                            const image_limits *limits, image_error *err);

/* Allocates img->pixels for a size that image_check_size has passed, bytes_per_pixel being 3 or 4.
 */
image_code image_alloc_pixels(image *img, int width, int height, int bytes_per_pixel,
                              image_error *err);

/* ---- alpha -------------------------------------------------------------------------------- */

/* v of alpha a over white, all 0 to 255, rounded to nearest. */
static inline uint8_t over_white(uint8_t v, uint8_t a) {
    uint32_t t = (uint32_t)v * a + 255u * (255u - a) + 128u;
    return (uint8_t)((t + (t >> 8)) >> 8);
}

/* ---- EXIF (exif.c, orient.c) -------------------------------------------------------------- */

/* The orientation in an EXIF block with or without its "Exif\0\0" prefix; 1 if there is none. */
int exif_orientation(const uint8_t *exif, size_t size);

/* True if the upright picture is as wide as the stored one is high. */
bool orientation_swaps(int orientation);

/* Puts count stored rows, of which the first is row y, where they belong in the upright picture. */
void place_rows(image *upright, int orientation, const uint8_t *rows, int y, int count);

enum { STRIP_ROWS = 32 }; /* best placed at a time */

/* Turns and mirrors img as stored so that it stands upright. On failure img is as it was. */
image_code orient_upright(image *img, int orientation, image_error *err);

/* ---- resampling (resample.c) -------------------------------------------------------------- */

/* One axis of a resize: which source samples each wanted output is made of. */
typedef struct {
    int count;      /* outputs wanted */
    int taps;       /* source samples per output */
    int32_t *start; /* (count): the first source sample; never decreasing, start + taps <= in */
    int32_t *coefficient; /* (count, taps) fixed point; NULL: outputs are copies of start */
    int16_t *split;       /* (count, taps / 4, 2, 4): low and high halves, for rows of 3 channels */
} resample_axis;

/* What to resample: in -> full samples, of which [first, first + count) are wanted. */
typedef struct {
    int in;
    int full;
    int first;
    int count;
    image_filter filter;
} resample_range;

struct resample_loops;

/* Produces the rows of a resized window of an image one by one, top to bottom. */
typedef struct {
    int channels; /* 3, or 1: the grey values of the source */
    const struct resample_loops *loops;
    resample_axis x;
    resample_axis y;
    int next;               /* the source row after the last one taken in */
    int done;               /* rows of the window that have been made */
    const uint8_t **rows;   /* (y.taps) horizontally resampled rows, source row r at r % y.taps */
    const uint8_t **window; /* (y.taps) the rows of one output, in order */
    uint8_t *ring;          /* (y.taps, channels, plane) memory behind rows */
    uint8_t *output;        /* (channels, plane) one finished row */
    uint8_t *line;          /* (in) one source row made grey */
    size_t plane;           /* bytes from one channel of a row to the next */
} resampler;

/* Bytes of working memory (of any alignment) that resampler_init needs. */
size_t resampler_bytes(const resample_range *x, const resample_range *y, int channels);

/* memory stays the caller's and must outlive the resampler. */
void resampler_init(resampler *r, const resample_range *x, const resample_range *y, int channels,
                    void *memory);

/* Takes in row y of the source, (x.in, 3) bytes; rows come in order, each once. padded: behind it
 * RESAMPLER_OVERREAD bytes may be read, whatever they are. */
enum { RESAMPLER_OVERREAD = 16 };
void resampler_put(resampler *r, int y, const uint8_t *rgb, bool padded);

/* The next row of the window, (channels, r->plane) bytes of which x.count in each plane count,
 * valid until the next call of any; NULL if it needs further source rows, or was the last one.
 * After each resampler_put, to be called until it is NULL. */
const uint8_t *resampler_take(resampler *r);

#endif
