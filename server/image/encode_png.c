/* encode_png.c: pixels to PNG through libspng.
 *
 * The pictures made here are sent at once and seldom kept, so that speed counts for more than the
 * last tenth of the size.
 */
#include "internal.h"

#include <spng.h>
#include <string.h>

enum { COMPRESSION_LEVEL = 4 };

static int set_palette(spng_ctx *ctx, const uint8_t (*palette)[3], int colors) {
    struct spng_plte plte = {.n_entries = (uint32_t)colors};
    for (int i = 0; i < colors; i++)
        plte.entries[i] = (struct spng_plte_entry){
            .red = palette[i][0], .green = palette[i][1], .blue = palette[i][2], .alpha = 255};
    return spng_set_plte(ctx, &plte);
}

/* Returns libspng's error. PNG's filters help photos, two of them nearly as much as all, and harm
 * indices. */
static int encode(spng_ctx *ctx, const uint8_t *pixels, struct spng_ihdr *ihdr,
                  const uint8_t (*palette)[3], int colors) {
    size_t size = (size_t)ihdr->width * ihdr->height * (palette ? 1 : 3);
    int error = spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    if (!error) error = spng_set_option(ctx, SPNG_IMG_COMPRESSION_LEVEL, COMPRESSION_LEVEL);
    if (!error)
        error = spng_set_option(ctx, SPNG_FILTER_CHOICE,
                                palette ? SPNG_DISABLE_FILTERING
                                        : SPNG_FILTER_CHOICE_SUB | SPNG_FILTER_CHOICE_UP);
    if (!error) error = spng_set_ihdr(ctx, ihdr);
    if (!error && palette) error = set_palette(ctx, palette, colors);
    if (!error) error = spng_encode_image(ctx, pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    return error;
}

image_code image_encode_png(const uint8_t *pixels, int width, int height,
                            const uint8_t (*palette)[3], int colors, void **out, size_t *out_size,
                            image_error *err) {
    if (!pixels || !out || !out_size || width < 1 || height < 1 ||
        (palette && (colors < 1 || colors > 256)))
        return image_fail(err, IMAGE_INVALID, "no PNG has %dx%d pixels of %d colours", width,
                          height, colors);
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!ctx) return image_fail(err, IMAGE_MEMORY, "no memory to encode a PNG");
    struct spng_ihdr ihdr = {.width = (uint32_t)width,
                             .height = (uint32_t)height,
                             .bit_depth = 8,
                             .color_type =
                                 palette ? SPNG_COLOR_TYPE_INDEXED : SPNG_COLOR_TYPE_TRUECOLOR};
    size_t size = 0;
    int error = encode(ctx, pixels, &ihdr, palette, colors);
    void *bytes = error ? NULL : spng_get_png_buffer(ctx, &size, &error);
    spng_ctx_free(ctx);
    if (!bytes)
        return image_fail(err, error == SPNG_EMEM ? IMAGE_MEMORY : IMAGE_INVALID,
                          "a PNG cannot be encoded: %s", spng_strerror(error));
    *out = bytes;
    *out_size = size;
    return IMAGE_OK;
}
