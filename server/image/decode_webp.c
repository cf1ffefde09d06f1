/* decode_webp.c: WebP through libwebp: lossy, lossless, with alpha; of an animation the first
 * frame.
 *
 * libwebpdemux reads the container (sizes, frames, EXIF), libwebp the frame's bitstream. The first
 * frame of an animation is drawn on a transparent canvas, and all transparency on white. Dithering
 * and other options stay at libwebp's defaults, as in Pillow.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

/* The RIFF header says how long the file is; libwebp would only say "not enough data". */
static image_code check_length(const uint8_t *bytes, size_t size, image_error *err) {
    uint64_t length = 8 + ((uint64_t)bytes[4] | (uint64_t)bytes[5] << 8 | (uint64_t)bytes[6] << 16 |
                           (uint64_t)bytes[7] << 24);
    if (length > size)
        return image_fail(err, IMAGE_UNDECODABLE, "WebP ends after %zu of %llu bytes", size,
                          (unsigned long long)length);
    return IMAGE_OK;
}

/* The size in the first header, before libwebpdemux goes through the whole file. A header that
 * cannot be read is left to it. */
static image_code check_claimed_size(const uint8_t *bytes, size_t size, const image_limits *limits,
                                     image_error *err) {
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(bytes, size, &features) != VP8_STATUS_OK) return IMAGE_OK;
    return image_check_size("WebP", (uint64_t)features.width, (uint64_t)features.height, limits,
                            err);
}

static const char *status_text(VP8StatusCode status) {
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "it uses a feature libwebp does not have";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return "its pixel data is truncated";
    default:
        return "its pixel data is corrupt";
    }
}

/* Decodes the bitstream of one frame into img: 3 or 4 bytes a pixel, not premultiplied. */
static image_code decode_frame(const WebPIterator *frame, image *img, int bytes_per_pixel,
                               image_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return image_fail(err, IMAGE_UNDECODABLE, "WebP: the installed libwebp does not fit");
    image_code code = image_alloc_pixels(img, frame->width, frame->height, bytes_per_pixel, err);
    if (code != IMAGE_OK) return code;
    size_t stride = (size_t)frame->width * (size_t)bytes_per_pixel;
    config.output.colorspace = bytes_per_pixel == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = img->pixels;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * (size_t)frame->height;
    VP8StatusCode status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    if (status == VP8_STATUS_OK) return IMAGE_OK;
    return image_fail(err, status == VP8_STATUS_OUT_OF_MEMORY ? IMAGE_MEMORY : IMAGE_UNDECODABLE,
                      "WebP cannot be decoded: %s", status_text(status));
}

/* RGBA -> RGB over white, in place; the memory that becomes free is given back. */
static void drop_alpha(image *img) {
    size_t pixels = (size_t)img->width * (size_t)img->height;
    const uint8_t *in = img->pixels;
    uint8_t *out = img->pixels;
    for (size_t i = 0; i < pixels; i++, in += 4, out += 3) {
        uint8_t a = in[3];
        for (int c = 0; c < 3; c++)
            out[c] = over_white(in[c], a);
    }
    uint8_t *smaller = realloc(img->pixels, pixels * 3);
    if (smaller) img->pixels = smaller;
}

/* A frame smaller than the canvas: puts it where it belongs on white. */
static image_code place_on_canvas(image *img, int x, int y, int width, int height,
                                  image_error *err) {
    image canvas = {0};
    image_code code = image_alloc_pixels(&canvas, width, height, 3, err);
    if (code != IMAGE_OK) return code;
    memset(canvas.pixels, 255, (size_t)width * (size_t)height * 3);
    for (int row = 0; row < img->height; row++)
        memcpy(canvas.pixels + ((size_t)(y + row) * (size_t)width + (size_t)x) * 3,
               img->pixels + (size_t)row * (size_t)img->width * 3, (size_t)img->width * 3);
    image_free(img);
    *img = canvas;
    return IMAGE_OK;
}

/* The first frame on its canvas. *img may hold pixels also on failure. */
static image_code decode_first(const WebPDemuxer *demuxer, const image_limits *limits, image *img,
                               image_error *err) {
    uint32_t width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    uint32_t height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    image_code code = image_check_size("WebP", width, height, limits, err);
    if (code != IMAGE_OK) return code;
    WebPIterator frame;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame))
        return image_fail(err, IMAGE_UNDECODABLE, "WebP holds no picture");
    int w = (int)width, h = (int)height;
    if (!frame.complete || frame.width <= 0 || frame.height <= 0 || frame.x_offset < 0 ||
        frame.y_offset < 0 || frame.width > w - frame.x_offset ||
        frame.height > h - frame.y_offset) {
        code = image_fail(err, IMAGE_UNDECODABLE, "WebP has a first frame outside its canvas");
    } else {
        bool alpha = WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG;
        code = decode_frame(&frame, img, alpha ? 4 : 3, err);
        if (code == IMAGE_OK && alpha) drop_alpha(img);
        if (code == IMAGE_OK && (frame.width < w || frame.height < h))
            code = place_on_canvas(img, frame.x_offset, frame.y_offset, w, h, err);
    }
    WebPDemuxReleaseIterator(&frame);
    return code;
}

static int find_orientation(const WebPDemuxer *demuxer) {
    int orientation = 1;
    WebPChunkIterator chunk;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        orientation = exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    return orientation;
}

image_code decode_webp(const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                       int *orientation, image_error *err) {
    image_code code = check_claimed_size(bytes, size, limits, err);
    if (code == IMAGE_OK) code = check_length(bytes, size, err);
    if (code != IMAGE_OK) return code;
    WebPData data = {bytes, size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer)
        return image_fail(err, IMAGE_UNDECODABLE, "WebP has a damaged container or header");
    image img = {0};
    int found = find_orientation(demuxer);
    code = decode_first(demuxer, limits, &img, err);
    if (code == IMAGE_OK) code = orient_upright(&img, found, err);
    if (code == IMAGE_OK) {
        *orientation = found;
        *out = img;
    } else {
        image_free(&img);
    }
    WebPDemuxDelete(demuxer);
    return code;
}
