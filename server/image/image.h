/* image.h: bytes -> pixels -> input tensor, and pixels -> PNG.
 *
 * The library decodes JPEG, PNG and WebP into upright 8-bit RGB and turns such an image, or such a
 * file in one pass, into the tensor a network expects, resampling exactly as Pillow (up to
 * 12) does. It knows neither HTTP nor the engine, keeps no global state, never prints, and may be
 * called from any number of threads as long as no two of them share an image or a scratch.
 *
 * Functions that can fail return an image_code and, when it is not IMAGE_OK, describe the failure
 * in *err. err may be NULL. Out parameters are written only on success.
 */
#ifndef CNNSERVE_IMAGE_H
#define CNNSERVE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ------------------------------------------------------------------------------- */

typedef enum {
    IMAGE_OK = 0,
    IMAGE_UNSUPPORTED, /* the bytes are of no format that is decoded here (HTTP 415) */
    IMAGE_UNDECODABLE, /* the format is known, the file is damaged or truncated (HTTP 422) */
    IMAGE_TOO_LARGE,   /* more pixels, or a longer side, than the limits allow (HTTP 413) */
    IMAGE_MEMORY,      /* an allocation failed */
    IMAGE_INVALID      /* a bad argument: a spec that contradicts itself, a wrong tensor size */
} image_code;

typedef struct {
    image_code code;
    char message[256]; /* one English sentence without a full stop, for the person who sent the file
                        */
} image_error;

/* ---- decoding ----------------------------------------------------------------------------- */

typedef struct {
    uint8_t *pixels; /* (height, width, 3) RGB, rows without padding; owned, see image_free */
    int width;
    int height;
} image;

typedef struct {
    const char *format; /* "jpeg", "png" or "webp"; a constant */
    int width;          /* after orientation */
    int height;
    int orientation; /* EXIF, 1 to 8; 1 also if absent or invalid. Already applied to the pixels */
} image_info;

#define IMAGE_DEFAULT_MAX_PIXELS 50000000
#define IMAGE_DEFAULT_MAX_SIDE   65535

typedef struct {
    size_t max_pixels; /* width x height; 0 means IMAGE_DEFAULT_MAX_PIXELS */
    int max_side;      /* width, and height; 0 means, and at most, IMAGE_DEFAULT_MAX_SIDE */
} image_limits;

/* Decodes a whole file held in memory. The file's signature decides its format. Transparency is
 * composited over white, grey becomes R = G = B, 16-bit samples are scaled to 8, CMYK is converted
 * as Pillow converts it, colour profiles and gamma are ignored. Of an animation the first frame is
 * taken.
 *
 * The limits are checked against the file's header, before anything of the picture's size is
 * allocated. limits may be NULL (the defaults); info and err may be NULL.
 * On success the caller owns out->pixels; otherwise *out and *info are as they were. */
image_code image_decode(const void *bytes, size_t size, const image_limits *limits, image *out,
                        image_info *info, image_error *err);

/* Frees the pixels and zeroes the struct. NULL and a zeroed image are accepted. */
void image_free(image *img);

/* ---- encoding ----------------------------------------------------------------------------- */

/* Encodes height x width pixels, rows without padding, as a PNG: 3 bytes each (RGB), or, if palette
 * is given, one byte each, an index of its `colors` (1 to 256) RGB triples. *out is the caller's to
 * free(). Only IMAGE_MEMORY and IMAGE_INVALID. */
image_code image_encode_png(const uint8_t *pixels, int width, int height,
                            const uint8_t (*palette)[3], int colors, void **out, size_t *out_size,
                            image_error *err);

/* ---- preprocessing ------------------------------------------------------------------------ */

typedef enum { IMAGE_RGB, IMAGE_BGR, IMAGE_GRAY } image_color;

typedef enum {
    IMAGE_RESIZE_NONE,     /* as it is */
    IMAGE_RESIZE_SHORTEST, /* shorter side to size, the other in proportion, rounded */
    IMAGE_RESIZE_EXACT     /* to size, the proportions change */
} image_resize;

typedef enum {
    IMAGE_NEAREST,
    IMAGE_BOX, /* this and those that follow are antialiased when reducing, as in Pillow */
    IMAGE_BILINEAR,
    IMAGE_HAMMING,
    IMAGE_BICUBIC,
    IMAGE_LANCZOS
} image_filter;

/* What happens to half a pixel: to the longer side of IMAGE_RESIZE_SHORTEST, and to an odd margin
 * around a centre crop, or around an image smaller than the crop. */
typedef enum {
    IMAGE_ROUND_NEAREST,      /* side rounded; smaller half of a margin at the left and top */
    IMAGE_ROUND_TRANSFORMERS, /* side cut off; larger half of a padding at the left and top */
    IMAGE_ROUND_TORCHVISION   /* side cut off; left and top of a crop rounded, ties to even */
} image_rounding;

typedef enum { IMAGE_NCHW, IMAGE_NHWC } image_layout;

/* Type of a tensor's elements; FLOAT16 and BFLOAT16 are their 16 bits. */
typedef enum {
    IMAGE_FLOAT32,
    IMAGE_FLOAT16,
    IMAGE_BFLOAT16,
    IMAGE_FLOAT64,
    IMAGE_UINT8,
    IMAGE_INT8,
    IMAGE_UINT16,
    IMAGE_INT16,
    IMAGE_UINT32,
    IMAGE_INT32,
    IMAGE_UINT64,
    IMAGE_INT64
} image_element;

size_t image_element_size(image_element element);
/* It holds whole numbers. */
bool image_element_is_whole(image_element element);
/* The numbers that it holds, about. */
void image_element_range(image_element element, double *least, double *most);

#define IMAGE_MAX_CHANNELS      3
#define IMAGE_MAX_SIZE          16384     /* of size and crop, each side */
#define IMAGE_MAX_TENSOR_PIXELS (1 << 26) /* height x width of a tensor */

/* What a model folder says about its input, plus what the graph says (layout, channels). Plain
 * data: copy it freely. The order of work: convert to grey if asked, resize, centre crop (an image
 * smaller than the crop is padded with pixel value 0), then value = (pixel * scale - mean[c]) /
 * std[c], c counting in the colour order fed; whole numbers are rounded to the nearest and kept
 * within the range of their type. */
typedef struct {
    image_color color;
    int channels; /* 3; for IMAGE_GRAY 1, or 3 (the grey value three times) */
    image_layout layout;
    image_element element;
    image_resize resize;
    image_filter filter;
    int size_h; /* not read for IMAGE_RESIZE_NONE; for IMAGE_RESIZE_SHORTEST both must be the same
                 */
    int size_w;
    int crop_h; /* 0 and 0: no crop */
    int crop_w;
    image_rounding rounding;
    float scale;
    float mean[IMAGE_MAX_CHANNELS];
    float std[IMAGE_MAX_CHANNELS]; /* not 0 */
} image_spec;

/* What a model folder without any file means: RGB, shorter side to 256/224 of the input's longer
 * side, bilinear, centre crop to the input, 1/255, ImageNet's mean and std; NCHW, 3 channels. */
image_spec image_spec_default(int input_h, int input_w);

/* IMAGE_OK if the spec is usable, otherwise IMAGE_INVALID with the rule it breaks. */
image_code image_spec_check(const image_spec *spec, image_error *err);

/* The height and width of the tensor that an image of width x height gives under spec. The same for
 * every image if the spec crops or resizes exactly; otherwise it depends on the image. */
image_code image_tensor_size(const image_spec *spec, int width, int height, int *out_h, int *out_w,
                             image_error *err);

/* A rectangle in the pixels of an image. */
typedef struct {
    double left, top, width, height;
} image_region;

/* The part of an image of width x height that its tensor shows; where the crop pads, it reaches
 * beyond the image. */
image_code image_tensor_region(const image_spec *spec, int width, int height, image_region *out,
                               image_error *err);

/* The whole image at another size (each side 1 to IMAGE_MAX_SIZE), resampled as Pillow 12 does. The
 * caller owns out->pixels. */
image_code image_resize_to(const image *img, int width, int height, image_filter filter, image *out,
                           image_error *err);

/* Working memory of image_to_tensor. Start from a zeroed struct; one per thread. It grows to what
 * the largest call needed, so that in a steady state nothing is allocated; a call that needs more
 * than IMAGE_SCRATCH_KEEP bytes gives the excess back when it returns. */
#define IMAGE_SCRATCH_KEEP ((size_t)8 << 20)

typedef struct {
    void *memory;
    size_t capacity;
} image_scratch;

void image_scratch_free(image_scratch *scratch);

/* Writes the tensor of one image: out is (channels, out_h, out_w), or (out_h, out_w, channels) for
 * IMAGE_NHWC, of the spec's elements, without padding, owned by the caller. out_h and out_w must be
 * what image_tensor_size gives, otherwise IMAGE_INVALID. scratch may be NULL (memory is then
 * allocated for the call).
 *
 * The 8-bit pixels behind the values are those of Pillow 12's Image.resize, bit for bit. Only the
 * part of the source that the crop shows is read. */
image_code image_to_tensor(const image *img, const image_spec *spec, int out_h, int out_w,
                           void *out, image_scratch *scratch, image_error *err);

/* ---- from a file to its tensor ------------------------------------------------------------ */

/* A file that is decoded as far as needed. Its size is known first, for the tensor it will fill to
 * be found; then a JPEG goes row by row through resampling into the tensor, and the picture is
 * never stored. */
typedef struct {
    image_info info;
    image picture; /* decoded already, or no pixels; owned */
    const void *bytes;
    size_t size;
    image_limits limits;
} image_file;

/* Reads the headers of a JPEG; others are decoded at once. As image_decode otherwise. bytes stay
 * the caller's and must outlive *out, which is to be closed. */
image_code image_open(const void *bytes, size_t size, const image_limits *limits, image_file *out,
                      image_error *err);
/* NULL and a zeroed file are accepted. */
void image_close(image_file *file);

/* Decodes all of file->picture, unless it is there. */
image_code image_file_decode(image_file *file, image_error *err);

/* As image_decode and image_to_tensor. But unless file->picture is there, a JPEG of 2^20 pixels or
 * more that is to shrink to a sixth of its side or less (bilinear, bicubic, Lanczos) is decoded at
 * a half, quarter or eighth of its size, which is far faster; pixel values then differ from those
 * of a full decoding by less than 1 in the mean. *decode_ns (may be NULL) is the part of the time
 * that decoding took. On failure, part of out may have been written. */
image_code image_file_to_tensor(const image_file *file, const image_spec *spec, int out_h,
                                int out_w, void *out, image_scratch *scratch, uint64_t *decode_ns,
                                image_error *err);

#ifdef __cplusplus
}
#endif

#endif
