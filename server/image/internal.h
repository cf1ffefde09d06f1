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

/* Reads the headers only: info is that of the upright picture. */
image_code inspect_jpeg(const uint8_t *bytes, size_t size, const image_limits *limits,
                        image_info *info, image_error *err);

/* The part of a stored picture that is wanted, in samples after scaling. */
typedef struct {
    int eighths;                  /* decoded at this many eighths of its size: 8, 4, 2 or 1 */
    int left, right, top, bottom; /* columns [left, right) of rows [top, bottom) */
} jpeg_window;

/* The side of a picture decoded at so many eighths of its size. */
static inline int scaled_side(int side, int eighths) {
    return (side * eighths + 7) / 8;
}

/* Who takes a JPEG's rows; the first member of a struct of the user's. Whatever the callbacks
 * allocate is the user's to free, also if decoding fails later. */
typedef struct jpeg_target jpeg_target;
struct jpeg_target {
    /* The header has been read. *window is the whole picture and may be made smaller. */
    image_code (*begin)(jpeg_target *target, const image_info *info, jpeg_window *window,
                        image_error *err);
    /* `count` stored rows from row y on, `width` pixels (of the whole, scaled picture) apart, top
     * to bottom; at least those wanted, of which at least the columns wanted are set.
     * RESAMPLER_OVERREAD bytes behind them may be read. */
    void (*rows)(jpeg_target *target, const uint8_t *rows, int y, int count, int width);
};

image_code read_jpeg(const uint8_t *bytes, size_t size, const image_limits *limits,
                     jpeg_target *target, image_error *err);

/* The format of a file that can be decoded, and the limits to apply, none of them zero (decode.c).
 */
image_code find_format(const void *bytes, size_t size, file_format *out, image_error *err);
image_limits complete_limits(const image_limits *given);

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

/* True if the bytes begin with "Exif\0\0". */
bool exif_has_prefix(const uint8_t *bytes, size_t size);

/* True if the bytes begin as an EXIF block does, behind a prefix or without one. */
bool exif_begins(const uint8_t *bytes, size_t size);

/* True if the upright picture is as wide as the stored one is high. */
bool orientation_swaps(int orientation);

/* True if columns, or rows, of the upright picture begin where the stored one ends. */
bool orientation_reverses_columns(int orientation);
bool orientation_reverses_rows(int orientation);

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
    double length; /* of the source in samples: in, or less if one lies partly outside */
    double offset; /* of its begin: 0, or more if that is the first sample */
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

/* ---- elements (element.c) ----------------------------------------------------------------- */

/* Stores `count` values as elements that lie `step` elements apart. */
void image_elements_store(image_element element, const float *values, size_t count, void *out,
                          size_t step);

/* ---- tensors (tensor.c) ------------------------------------------------------------------- */

/* One axis of the way from image to tensor. */
typedef struct {
    int resized; /* after the resize */
    int first;   /* the first resized pixel shown */
    int count;   /* how many are shown */
    int pad;     /* tensor positions before them that hold no pixel */
    int out;     /* size in the tensor */
} tensor_span;

/* A tensor that is made as rows of its image come in. */
typedef struct {
    const image_spec *spec;
    tensor_span x, y;
    resampler resampler;
    void *out;
    float *
        values; /* (x.out) a row of a channel before it is stored; NULL: the elements are float32 */
    int row;    /* of the tensor, the next to be written */
    /* Channel c is made of plane source[c] of a resampled row: value = pixel * scale + offset. */
    int source[IMAGE_MAX_CHANNELS];
    float scale[IMAGE_MAX_CHANNELS];
    float offset[IMAGE_MAX_CHANNELS];
    image_scratch *scratch, own; /* `own` is in use if the caller has given none */
} tensor_maker;

/* Begins the tensor of the image that info describes; the rest is as in image_to_tensor. eighths:
 * where it is not NULL, the image comes at that many eighths of its size, chosen such that the
 * tensor stays what it is but for a little. Success is to be followed by tensor_end. */
image_code tensor_begin(tensor_maker *m, const image_spec *spec, const image_info *info, int out_h,
                        int out_w, void *out, image_scratch *scratch, int *eighths,
                        image_error *err);
/* As resampler_put. */
void tensor_put(tensor_maker *m, int y, const uint8_t *rgb, bool padded);
void tensor_put_image(tensor_maker *m, const image *img);
void tensor_end(tensor_maker *m);

#endif
