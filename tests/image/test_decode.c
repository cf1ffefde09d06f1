/* test_decode.c: files -> pixels, against Pillow and against themselves. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* jpeglib.h needs stdio.h before it */
#include <jpeglib.h>

#include "support.h"

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void check_pixels(const char *path, const char *raw, int width, int height, int tolerance) {
    image img = {0};
    image_info info;
    image_error err = {0};
    image_code code = decode_file(path, &img, &info, &err);
    cr_expect_eq(code, IMAGE_OK, "%s: %s", path, err.message);
    if (code != IMAGE_OK) return;
    cr_expect(img.width == width && img.height == height, "%s: %dx%d, expected %dx%d", path,
              img.width, img.height, width, height);
    cr_expect(info.width == img.width && info.height == img.height, "%s: info has another size",
              path);
    cr_expect(info.orientation >= 1 && info.orientation <= 8, "%s: orientation %d", path,
              info.orientation);
    blob expected = blob_read(raw);
    size_t size = (size_t)width * (size_t)height * 3;
    cr_assert_eq(expected.size, size);
    if (img.width == width && img.height == height) {
        difference d = compare(img.pixels, expected.bytes, size);
        cr_expect_leq(d.worst, tolerance, "%s: differs by up to %d, %.4f in the mean", path,
                      d.worst, d.mean);
    }
    blob_free(&expected);
    image_free(&img);
}

Test(decode, equals_pillow) {
    char path[2048], raw[2048];
    int width, height, tolerance, count = 0;
    FILE *list = reference_open("decode.txt");
    while (fscanf(list, " %2047[^\t]\t%2047[^\t]\t%d %d %d", path, raw, &width, &height,
                  &tolerance) == 5) {
        check_pixels(path, raw, width, height, tolerance);
        count++;
    }
    cr_assert(feof(list), "decode.txt is malformed after %d lines", count);
    fclose(list);
    cr_expect_gt(count, 280); /* 485 with the test data */
    cr_log_info("%d files compared", count);
}

Test(decode, reports_the_orientation_it_applied) {
    static const char *const formats[] = {"jpeg", "png", "webp"}, *const ends[] = {"jpg", "png",
                                                                                   "webp"};
    for (int format = 0; format < 3; format++)
        for (int orientation = 1; orientation <= 8; orientation++) {
            char name[64];
            image img = {0};
            image_info info = {0};
            snprintf(name, sizeof(name), "orientation-%d.%s", orientation, ends[format]);
            blob file = reference_read(name);
            cr_expect_eq(image_decode(file.bytes, file.size, NULL, &img, &info, NULL), IMAGE_OK);
            cr_expect_eq(info.orientation, orientation, "%s: %d", name, info.orientation);
            cr_expect_str_eq(info.format, formats[format]);
            image_free(&img);
            blob_free(&file);
        }
}

Test(decode, refuses_damage_within_the_pixels) {
    char path[2048], message[256];
    int count = 0;
    FILE *list = reference_open("refused.txt");
    while (fscanf(list, " %2047[^\t]\t%255[^\n]", path, message) == 2) {
        image img = {0};
        image_error err = {0};
        image_code code = decode_file(path, &img, NULL, &err);
        bool foreign = strstr(message, "CgBI") != NULL;
        cr_expect_eq(code, foreign ? IMAGE_UNSUPPORTED : IMAGE_UNDECODABLE, "%s: %d", path, code);
        cr_expect(strncmp(err.message, message, strlen(message)) == 0, "%s: %s", path, err.message);
        image_free(&img);
        count++;
    }
    cr_assert(feof(list), "refused.txt is malformed after %d lines", count);
    fclose(list);
    cr_expect_gt(count, 40);
}

/* Also in a chunk that does not bear on the pixels, if it stands before them. */
Test(decode, refuses_a_wrong_png_checksum) {
    blob file = reference_read("orientation-6.png");
    uint8_t *at = memmem(file.bytes, file.size, "eXIf", 4);
    cr_assert(at);
    at[10] ^= 1;
    image img = {0};
    image_error err = {0};
    cr_expect_eq(image_decode(file.bytes, file.size, NULL, &img, NULL, &err), IMAGE_UNDECODABLE);
    cr_expect_str_eq(err.message, "PNG has a wrong checksum in the chunk at byte 33");
    blob_free(&file);
}

/* The eight files of a picture were compressed one by one: Pillow finds mean differences up
 * to 3.70. */
Test(decode, exif_orientations_show_one_picture) {
    char folder[3000], path[4096];
    snprintf(folder, sizeof(folder), "%s", data_folder("images/exif"));
    for (int portrait = 0; portrait < 2; portrait++) {
        const char *kind = portrait ? "Portrait" : "Landscape";
        image upright = {0}, img = {0};
        image_info info;
        image_error err = {0};
        snprintf(path, sizeof(path), "%s/%s_1.jpg", folder, kind);
        cr_assert_eq(decode_file(path, &upright, &info, &err), IMAGE_OK, "%s", err.message);
        cr_assert_eq(info.orientation, 1);
        cr_assert_eq(info.height > info.width, portrait);
        for (int orientation = 2; orientation <= 8; orientation++) {
            snprintf(path, sizeof(path), "%s/%s_%d.jpg", folder, kind, orientation);
            cr_assert_eq(decode_file(path, &img, &info, &err), IMAGE_OK, "%s", err.message);
            cr_expect_eq(info.orientation, orientation);
            cr_expect_str_eq(info.format, "jpeg");
            cr_assert(img.width == upright.width && img.height == upright.height, "%s: %dx%d", path,
                      img.width, img.height);
            difference d =
                compare(img.pixels, upright.pixels, (size_t)img.width * (size_t)img.height * 3);
            cr_expect_leq(d.mean, 4.0, "%s: mean difference %.3f", path, d.mean);
            image_free(&img);
        }
        image_free(&upright);
    }
}

Test(decode, refuses_broken_pngsuite) {
    size_t count, refused = 0;
    char **paths = paths_below(data_folder("images/pngsuite"), &count);
    for (size_t i = 0; i < count; i++) {
        if (base_name(paths[i])[0] != 'x') continue;
        image img = {0};
        image_error err = {0};
        image_code code = decode_file(paths[i], &img, NULL, &err);
        cr_expect_eq(code, IMAGE_UNDECODABLE, "%s: %d", paths[i], code);
        cr_expect_eq(err.code, code);
        cr_expect(strstr(err.message, "PNG"), "%s: %s", paths[i], err.message);
        refused++;
        image_free(&img);
    }
    cr_expect_geq(refused, 10u);
    paths_free(paths, count);
}

static double thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A result, or an error with a code and a sentence; in bounded time; nothing written on failure. */
static image_code check_outcome(const char *name, const uint8_t *bytes, size_t size) {
    image img = {0};
    image_info info = {0};
    image_error err = {0};
    double start = thread_seconds();
    image_code code = image_decode(bytes, size, NULL, &img, &info, &err);
    double seconds = thread_seconds() - start;
    cr_expect_lt(seconds, 20.0, "%s took %.1f s", name, seconds);
    if (code == IMAGE_OK) {
        cr_expect(img.pixels && img.width > 0 && img.height > 0 && info.format, "%s", name);
        cr_expect(info.orientation >= 1 && info.orientation <= 8, "%s", name);
    } else {
        cr_expect(!img.pixels && !info.format, "%s: something was written on failure", name);
        cr_expect_eq(err.code, code, "%s", name);
        cr_expect_gt(strlen(err.message), 10u, "%s: '%s'", name, err.message);
    }
    image_free(&img);
    return code;
}

Test(decode, survives_malformed) {
    size_t count, decoded = 0;
    char **paths = paths_below(data_folder("images/malformed"), &count);
    for (size_t i = 0; i < count; i++) {
        blob file = blob_read(paths[i]);
        decoded += check_outcome(paths[i], file.bytes, file.size) == IMAGE_OK;
        blob_free(&file);
    }
    cr_log_info("%zu of %zu malformed files can be decoded", decoded, count);
    cr_expect_gt(decoded, 100u);
    cr_expect_lt(decoded, count);
    paths_free(paths, count);
}

static bool same_picture(const image *a, const image *b) {
    return a->pixels && b->pixels && a->width == b->width && a->height == b->height &&
           memcmp(a->pixels, b->pixels, (size_t)a->width * (size_t)a->height * 3) == 0;
}

enum { TAIL = 24 }; /* at most so much of a PNG or JPEG made here lies behind its last pixel */

/* Cut anywhere within its pixels a file is refused; cut behind them, it shows all of them. */
static void check_prefixes(const char *name, blob file) {
    size_t step = file.size / 150 + 1;
    image whole = {0};
    cr_assert_eq(image_decode(file.bytes, file.size, NULL, &whole, NULL, NULL), IMAGE_OK);
    for (size_t size = 0; size<file.size; size += size + 40> file.size ? 1 : step) {
        uint8_t *copy = malloc(size ? size : 1); /* so that ASan sees reads past the end */
        memcpy(copy, file.bytes, size);
        image_code code = check_outcome(name, copy, size);
        image img = {0};
        if (code == IMAGE_OK) image_decode(copy, size, NULL, &img, NULL, NULL);
        cr_expect(code == IMAGE_UNDECODABLE || (size < 16 && code == IMAGE_UNSUPPORTED) ||
                      (size + TAIL >= file.size && same_picture(&img, &whole)),
                  "%s cut to %zu of %zu bytes: %d", name, size, file.size, code);
        image_free(&img);
        free(copy);
    }
    image_free(&whole);
}

Test(decode, refuses_truncated) {
    static const char *const names[] = {
        "rgb-157x211-2b.jpg", "rgb-157x211-0p.jpg", "grey-8x17.jpg",       "cmyk-8x17.jpg",
        "orientation-6.jpg",  "rgba.png",           "palette.png",         "orientation-6.png",
        "lossy.webp",         "lossless.webp",      "lossy-alpha.webp",    "animated.webp",
        "orientation-6.webp", "rgb-1x1-0b.jpg",     "animated-offset.webp"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        blob file = reference_read(names[i]);
        check_prefixes(names[i], file);
        blob_free(&file);
    }
}

/* Random bytes changed: whatever comes out, no crash, leak or hang. Deterministic. */
Test(decode, survives_random_damage) {
    static const char *const names[] = {
        "rgb-157x211-2p.jpg", "rgb-8x17-1b.jpg", "ycck-8x17.jpg",     "orientation-5.jpg",
        "rgba.png",           "grey-alpha.png",  "orientation-8.png", "lossy.webp",
        "lossy-alpha.webp",   "lossless.webp",   "animated.webp",     "orientation-3.webp"};
    uint32_t random = 12345;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        blob file = reference_read(names[i]);
        uint8_t *copy = malloc(file.size);
        for (int round = 0; round < 60; round++) {
            memcpy(copy, file.bytes, file.size);
            for (int k = 0; k <= round % 4; k++) {
                random = random * 1664525u + 1013904223u;
                size_t at =
                    (random >> 8) % (round % 2 ? file.size : (file.size < 200 ? file.size : 200));
                random = random * 1664525u + 1013904223u;
                copy[at] = (uint8_t)(random >> 24);
            }
            check_outcome(names[i], copy, file.size);
        }
        free(copy);
        blob_free(&file);
    }
}

/* ---- what is not an image, or too large ----------------------------------------------------- */

static image_code decode_text(const char *text, size_t size, image_error *err) {
    image img = {0};
    return image_decode(text, size, NULL, &img, NULL, err);
}

Test(decode, names_what_is_not_supported) {
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } cases[] = {
        {"GIF89a\1\0\1\0", 10, "GIF is not supported; send JPEG, PNG or WebP"},
        {"BM\x3a\0\0\0", 6, "BMP is not supported; send JPEG, PNG or WebP"},
        {"II*\0\x08\0\0\0", 8, "TIFF is not supported; send JPEG, PNG or WebP"},
        {"\0\0\0\x1c"
         "ftypavif",
         12, "AVIF is not supported; send JPEG, PNG or WebP"},
        {"\0\0\0\x1c"
         "ftypheic",
         12, "HEIC is not supported; send JPEG, PNG or WebP"},
        {"\x8aMNG\r\n\x1a\n", 8, "MNG is not supported; send JPEG, PNG or WebP"},
        {"%PDF-1.7", 8, "PDF is not supported; send JPEG, PNG or WebP"},
        {"P6\n1 1\n255\n", 11, "Netpbm is not supported; send JPEG, PNG or WebP"},
        {"hello", 5, "the bytes are of no known image format; send JPEG, PNG or WebP"},
        {"RIFF\4\0\0\0WAVE", 12, "the bytes are of no known image format; send JPEG, PNG or WebP"},
        {"", 0, "the image is empty (0 bytes); send JPEG, PNG or WebP"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        image_error err = {0};
        cr_expect_eq(decode_text(cases[i].bytes, cases[i].size, &err), IMAGE_UNSUPPORTED);
        cr_expect_str_eq(err.message, cases[i].message);
    }
}

Test(decode, says_where_a_png_ends) {
    image_error err = {0};
    const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\1\0\0\0\1";
    cr_expect_eq(decode_text(png, 24, &err), IMAGE_UNDECODABLE);
    cr_expect_str_eq(err.message, "PNG ends after 24 of at least 33 bytes");
    const char webp[] = "RIFF\x64\0\0\0WEBPVP8 ";
    cr_expect_eq(decode_text(webp, 16, &err), IMAGE_UNDECODABLE);
    cr_expect_str_eq(err.message, "WebP ends after 16 of 108 bytes");
}

Test(decode, refuses_bad_arguments) {
    image img = {0};
    image_error err = {0};
    cr_expect_eq(image_decode(NULL, 5, NULL, &img, NULL, &err), IMAGE_INVALID);
    cr_expect_eq(image_decode("GIF89a", 6, NULL, NULL, NULL, NULL), IMAGE_INVALID);
    image_free(NULL);
    image_free(&img);
}

/* Headers that claim a size, with no pixels behind them. */
static const uint8_t huge_png[] =
    "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xff\xff\0\0\xff\xff\x08\2\0\0\0"
    "\x39\x67\x4e\x07";
static const uint8_t huge_jpeg[] = "\xff\xd8\xff\xc0\0\x0b\x08\xff\xdc\xff\xdc\1\1\x11\0"
                                   "\xff\xda\0\x08\1\1\0\0\x3f\0";
/* VP8X: canvas 16384 x 16384, then nothing */
static const uint8_t huge_webp[] = "RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\x3f\0\xff\x3f\0";

Test(decode, refuses_huge_by_the_header) {
    image img = {0};
    image_error err = {0};
    cr_expect_eq(image_decode(huge_png, sizeof(huge_png) - 1, NULL, &img, NULL, &err),
                 IMAGE_TOO_LARGE, "%s", err.message);
    cr_expect_str_eq(err.message, "PNG is 65535x65535 = 4294836225 pixels; the limit is 50000000");
    cr_expect_eq(image_decode(huge_jpeg, sizeof(huge_jpeg) - 1, NULL, &img, NULL, &err),
                 IMAGE_TOO_LARGE, "%s", err.message);
    cr_expect_str_eq(err.message, "JPEG is 65500x65500 = 4290250000 pixels; the limit is 50000000");
    cr_expect_eq(image_decode(huge_webp, sizeof(huge_webp) - 1, NULL, &img, NULL, &err),
                 IMAGE_TOO_LARGE, "%s", err.message);
    cr_expect_str_eq(err.message, "WebP is 16384x16384 = 268435456 pixels; the limit is 50000000");
}

/* ---- JPEGs that Pillow cannot write: arithmetic coding, many scans, two components ---------- */

typedef struct {
    int width;
    int height;
    int components;
    bool arithmetic;
    int scans; /* 0: sequential; otherwise progressive with as many */
    bool flat; /* one colour, which costs hardly any bytes */
} jpeg_kind;

static blob write_jpeg(jpeg_kind kind) {
    struct jpeg_compress_struct cinfo = {0};
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long size = 0;
    cinfo.err = jpeg_std_error(&errors);
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &out, &size);
    cinfo.image_width = (JDIMENSION)kind.width;
    cinfo.image_height = (JDIMENSION)kind.height;
    cinfo.input_components = kind.components;
    cinfo.in_color_space = kind.components == 3   ? JCS_RGB
                           : kind.components == 1 ? JCS_GRAYSCALE
                                                  : JCS_UNKNOWN;
    jpeg_set_defaults(&cinfo);
    jpeg_set_quality(&cinfo, 90, TRUE);
    cinfo.arith_code = kind.arithmetic;
    cinfo.optimize_coding = FALSE;
    jpeg_scan_info *scans = calloc((size_t)kind.scans + 1, sizeof(*scans));
    for (int i = 0; i < kind.scans;
         i++) /* the DC, then one AC coefficient at a time, over and over */
        scans[i] = i == 0 ? (jpeg_scan_info){1, {0}, 0, 0, 0, 0}
                          : (jpeg_scan_info){1, {0}, (i - 1) % 63 + 1, (i - 1) % 63 + 1, 0, 0};
    if (kind.scans) {
        cinfo.scan_info = scans;
        cinfo.num_scans = kind.scans;
    }
    jpeg_start_compress(&cinfo, TRUE);
    uint8_t *row = malloc((size_t)kind.width * (size_t)kind.components);
    while (cinfo.next_scanline < cinfo.image_height) {
        for (int i = 0; i < kind.width * kind.components; i++)
            row[i] = kind.flat ? 128 : (uint8_t)(i * 3 + (int)cinfo.next_scanline * 5);
        jpeg_write_scanlines(&cinfo, &row, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    free(row);
    free(scans);
    return (blob){out, size};
}

Test(decode, arithmetic_coding_changes_nothing) {
    image images[2] = {0};
    for (int arithmetic = 0; arithmetic < 2; arithmetic++) {
        blob jpeg = write_jpeg((jpeg_kind){57, 33, 3, arithmetic, 0, false});
        image_error err = {0};
        cr_assert_eq(image_decode(jpeg.bytes, jpeg.size, NULL, &images[arithmetic], NULL, &err),
                     IMAGE_OK, "%s", err.message);
        blob_free(&jpeg);
    }
    difference d = compare(images[0].pixels, images[1].pixels, 57 * 33 * 3);
    cr_expect_eq(d.worst, 0);
    image_free(&images[0]);
    image_free(&images[1]);
}

/* An arithmetic decoder that finds nothing more takes it for zeros and does not complain. */
Test(decode, refuses_arithmetic_coding_without_an_end) {
    blob jpeg = write_jpeg((jpeg_kind){57, 33, 3, true, 0, false});
    image img = {0};
    image_error err = {0};
    for (size_t cut = 2; cut < 40; cut++) {
        cr_expect_eq(image_decode(jpeg.bytes, jpeg.size - cut, NULL, &img, NULL, &err),
                     IMAGE_UNDECODABLE, "cut by %zu", cut);
        cr_expect(strstr(err.message, "ends after"), "%s", err.message);
    }
    blob_free(&jpeg);
}

/* Each of its scans has some of the picture. */
Test(decode, refuses_a_jpeg_that_lacks_scans_and_an_end) {
    blob jpeg = write_jpeg((jpeg_kind){64, 64, 1, false, 64, false});
    image img = {0}, whole = {0};
    image_error err = {0};
    size_t refused = 0;
    cr_assert_eq(image_decode(jpeg.bytes, jpeg.size - 2, NULL, &whole, NULL, &err), IMAGE_OK, "%s",
                 err.message);
    for (size_t at = 2; at + 1 < jpeg.size - 2; at++) {
        if (!(jpeg.bytes[at] == 0xFF && jpeg.bytes[at + 1] == 0xDA)) continue;
        cr_expect_eq(image_decode(jpeg.bytes, at, NULL, &img, NULL, &err), IMAGE_UNDECODABLE);
        refused++;
    }
    cr_expect_eq(refused, 64u);
    image_free(&whole);
    blob_free(&jpeg);
}

Test(decode, refuses_two_components) {
    blob jpeg = write_jpeg((jpeg_kind){16, 16, 2, false, 0, false});
    image img = {0};
    image_error err = {0};
    cr_expect_eq(image_decode(jpeg.bytes, jpeg.size, NULL, &img, NULL, &err), IMAGE_UNDECODABLE);
    cr_expect_str_eq(err.message, "JPEG has 2 colour components; 1, 3 and 4 can be decoded");
    blob_free(&jpeg);
}

/* Repeats the last scan of a progressive JPEG, as a file that wants to keep a server busy would. */
static blob with_repeated_scan(blob jpeg, int times) {
    size_t at = jpeg.size - 2; /* before the end marker */
    while (!(jpeg.bytes[at] == 0xFF && jpeg.bytes[at + 1] == 0xDA))
        at--;
    size_t scan = jpeg.size - 2 - at;
    blob longer = {malloc(jpeg.size + scan * (size_t)times), 0};
    memcpy(longer.bytes, jpeg.bytes, jpeg.size - 2);
    longer.size = jpeg.size - 2;
    for (int i = 0; i < times; i++, longer.size += scan)
        memcpy(longer.bytes + longer.size, jpeg.bytes + at, scan);
    memcpy(longer.bytes + longer.size, "\xff\xd9", 2);
    longer.size += 2;
    return longer;
}

Test(decode, limits_progressive_scans) {
    blob jpeg = write_jpeg((jpeg_kind){64, 64, 1, false, 64, false});
    for (int times = 400; times <= 600; times += 200) {
        blob longer = with_repeated_scan(jpeg, times);
        image img = {0};
        image_error err = {0};
        image_code code = image_decode(longer.bytes, longer.size, NULL, &img, NULL, &err);
        cr_expect_eq(code, times == 400 ? IMAGE_OK : IMAGE_UNDECODABLE, "%s", err.message);
        if (times == 600) cr_expect_str_eq(err.message, "JPEG has more than 500 scans");
        image_free(&img);
        blob_free(&longer);
    }
    blob_free(&jpeg);
}

/* The most a small file can cost within the default limits. */
Test(decode, bounds_the_time_of_a_scan_bomb) {
    blob jpeg = write_jpeg((jpeg_kind){7000, 7000, 1, false, 2, true});
    blob longer = with_repeated_scan(jpeg, 1000);
    image img = {0};
    image_error err = {0};
    double start = thread_seconds();
    image_code code = image_decode(longer.bytes, longer.size, NULL, &img, NULL, &err);
    double seconds = thread_seconds() - start;
    cr_expect_eq(code, IMAGE_UNDECODABLE, "%s", err.message);
    cr_expect_lt(seconds, 40.0, "%.1f s", seconds);
    cr_log_info("a scan bomb of %zu bytes costs %.2f s", longer.size, seconds);
    blob_free(&jpeg);
    blob_free(&longer);
}

Test(decode, limits_are_the_callers) {
    blob jpeg = write_jpeg((jpeg_kind){40, 30, 3, false, 0, false});
    image img = {0};
    image_error err = {0};
    image_limits exactly = {.max_pixels = 1200}, pixels = {.max_pixels = 1199},
                 side = {.max_side = 39};
    cr_expect_eq(image_decode(jpeg.bytes, jpeg.size, &pixels, &img, NULL, &err), IMAGE_TOO_LARGE);
    cr_expect_str_eq(err.message, "JPEG is 40x30 = 1200 pixels; the limit is 1199");
    cr_expect_eq(image_decode(jpeg.bytes, jpeg.size, &side, &img, NULL, &err), IMAGE_TOO_LARGE);
    cr_expect_str_eq(err.message, "JPEG is 40x30 pixels; the limit is 39 on a side");
    cr_expect_eq(image_decode(jpeg.bytes, jpeg.size, &exactly, &img, NULL, &err), IMAGE_OK);
    image_free(&img);
    blob_free(&jpeg);
}
