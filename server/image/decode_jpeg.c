/* decode_jpeg.c: JPEG through libjpeg-turbo.
 *
 * Baseline, extended, progressive and arithmetic-coded files of 8 bits, with 1 (grey), 3 (YCbCr,
 * RGB) or 4 (CMYK, YCCK) components, decoded with the library's default settings (slow integer DCT,
 * smooth chroma upsampling) as Pillow does, so that the pixels are those models were trained on.
 * CMYK is taken to be stored inverted, as Adobe writes it and Pillow assumes.
 *
 * What damage is forgiven is Pillow's choice too: corrupt entropy-coded data, which libjpeg warns
 * about and fills in, is decoded. Where the bytes end without an end marker, libjpeg is handed one,
 * and the picture is refused if its decoding wanted for anything; what follows a whole picture is
 * of no interest. libjpeg reports fatal errors through a callback that must not return, hence the
 * longjmp: everything between setjmp and longjmp lives in jpeg_job, and nothing in between owns
 * anything else.
 *
 * EXIF comes from the markers that libjpeg itself finds, so that whatever it passes over on its way
 * to them, the orientation is not missed.
 *
 * Progressive files cost a pass over all coefficients per scan, so that a small file can ask for
 * hours of work: the scans are counted and the count is limited.
 *
 * Rows go to a target in strips, which stay in the cache until it is done with them. It may want a
 * part of the picture only, or a smaller one: libjpeg-turbo then leaves out inverse transforms, and
 * of blocks what a smaller picture does not show. The file is read to the last row all the same.
 *
 * Not done: 12-bit, lossless, colour profiles.
 */
#include "internal.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs it */
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum {
    MAX_SCANS = 500,
    MIN_SCANS = 50,
    MAX_EXIF = 1 << 20, /* bytes of a block that is spread over several markers */
    EXIF_BEGIN = 8,     /* of an APP1 segment: behind its length and "Exif\0\0" */
    CROP_MARGIN = 16 /* columns beyond a window's edges that have a part in smoothing its chroma */
};

/* A file may have more than MIN_SCANS scans as long as scans x pixels stays below this. */
static const uint64_t max_scan_pixels = (uint64_t)1 << 30;

typedef struct {
    struct jpeg_decompress_struct cinfo; /* cinfo.client_data points back to the job */
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    size_t size;
    bool ended;    /* the bytes are used up, and an end marker has been added */
    bool starved;  /* pixel data were wanted where a marker, or the end, was */
    uint8_t *exif; /* the blocks of all markers before the first scan, one after the other; owned */
    size_t exif_size;
    int max_scans;
    jpeg_target *target; /* NULL: the header is enough */
    image_info info;
    uint8_t *cmyk; /* one row, or NULL if the file is not CMYK; owned by libjpeg's pool */
    const image_limits *limits;
    image_code code;
    image_error *err;
} jpeg_job;

/* ---- callbacks ---------------------------------------------------------------------------- */

/* Leaves the decoder for the setjmp in run. */
static _Noreturn void give_up(jpeg_job *job, image_code code) {
    job->code = code;
    longjmp(job->escape, 1);
}

static _Noreturn void truncated(jpeg_job *job) {
    give_up(job, image_fail(job->err, IMAGE_UNDECODABLE,
                            "JPEG ends after %zu bytes, before its end marker", job->size));
}

static _Noreturn void on_error(j_common_ptr cinfo) {
    jpeg_job *job = cinfo->client_data;
    char text[JMSG_LENGTH_MAX];
    cinfo->err->format_message(cinfo, text);
    bool memory = cinfo->err->msg_code == JERR_OUT_OF_MEMORY;
    if (job->ended && !memory) truncated(job);
    give_up(job, image_fail(job->err, memory ? IMAGE_MEMORY : IMAGE_UNDECODABLE,
                            "JPEG cannot be decoded: %s", text));
}

/* Warnings and traces are not printed. */
static void on_message(j_common_ptr cinfo, int level) {
    jpeg_job *job = cinfo->client_data;
    if (level < 0) cinfo->err->num_warnings++;
    if (level < 0 && cinfo->err->msg_code == JWRN_HIT_MARKER) job->starved = true;
}

static void on_output(j_common_ptr cinfo) {
    (void)cinfo;
}

static void source_nothing(j_decompress_ptr cinfo) {
    (void)cinfo;
}

/* libjpeg wants more than the whole file: the end marker, which may be missing, or else what it has
 * read it as. */
static boolean source_fill(j_decompress_ptr cinfo) {
    static const JOCTET end_marker[] = {0xFF, JPEG_EOI};
    jpeg_job *job = cinfo->client_data;
    if (job->ended) truncated(job);
    job->ended = true;
    cinfo->src->next_input_byte = end_marker;
    cinfo->src->bytes_in_buffer = sizeof(end_marker);
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long count) {
    if (count <= 0) return;
    size_t left = cinfo->src->bytes_in_buffer;
    size_t skipped = (unsigned long)count > left ? left : (size_t)count;
    cinfo->src->next_input_byte += skipped;
    cinfo->src->bytes_in_buffer -= skipped;
}

static void on_progress(j_common_ptr cinfo) {
    jpeg_job *job = cinfo->client_data;
    if (((j_decompress_ptr)cinfo)->input_scan_number > job->max_scans)
        give_up(job, image_fail(job->err, IMAGE_UNDECODABLE, "JPEG has more than %d scans",
                                job->max_scans));
}

/* ---- EXIF --------------------------------------------------------------------------------- */

/* A block may go on in further markers, each with the prefix, which is not part of it. */
static void add_exif(jpeg_job *job, const uint8_t *block, size_t size) {
    if (!job->exif && !exif_begins(block, size)) return;
    if (size == 0 || size > MAX_EXIF - job->exif_size) return;
    uint8_t *longer = realloc(job->exif, job->exif_size + size);
    if (!longer) give_up(job, image_fail(job->err, IMAGE_MEMORY, "no memory to decode a JPEG"));
    memcpy(longer + job->exif_size, block, size);
    job->exif = longer;
    job->exif_size += size;
}

/* libjpeg has found an APP1 marker. Its segment lies in the file as a whole, or is cut off. */
static boolean take_app1(j_decompress_ptr cinfo) {
    jpeg_job *job = cinfo->client_data;
    struct jpeg_source_mgr *source = cinfo->src;
    if (source->bytes_in_buffer < 2) truncated(job);
    const uint8_t *segment = source->next_input_byte;
    long length = segment[0] << 8 | segment[1]; /* includes itself */
    size_t left = source->bytes_in_buffer;
    size_t size = (size_t)length < left ? (size_t)length : left;
    bool before_scans = cinfo->input_scan_number == 0;
    if (before_scans && size > 2 && exif_has_prefix(segment + 2, size - 2))
        add_exif(job, segment + EXIF_BEGIN, size - EXIF_BEGIN);
    source_skip(cinfo, length < 2 ? 2 : length);
    return TRUE;
}

/* ---- pixels ------------------------------------------------------------------------------- */

static inline uint8_t scaled(uint32_t v, uint32_t by) {
    uint32_t t = v * by + 128;
    return (uint8_t)((t + (t >> 8)) >> 8);
}

/* in is CMYK as stored, that is inverted; this is Pillow's conversion, rounding included. */
static void cmyk_to_rgb(const uint8_t *in, uint8_t *out, int width) {
    for (int x = 0; x < width; x++, in += 4, out += 3) {
        uint8_t white = in[3];
        for (int c = 0; c < 3; c++)
            out[c] = (uint8_t)(white - scaled(255u - in[c], white));
    }
}

static void choose_colours(jpeg_job *job) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    int components = cinfo->num_components;
    if (components != 1 && components != 3 && components != 4)
        give_up(job,
                image_fail(job->err, IMAGE_UNDECODABLE,
                           "JPEG has %d colour components; 1, 3 and 4 can be decoded", components));
    cinfo->out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
}

static void limit_scans(jpeg_job *job) {
    uint64_t pixels = (uint64_t)job->cinfo.image_width * job->cinfo.image_height;
    uint64_t scans = max_scan_pixels / pixels;
    job->max_scans = scans > MAX_SCANS ? MAX_SCANS : scans < MIN_SCANS ? MIN_SCANS : (int)scans;
}

static void read_header(jpeg_job *job) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    jpeg_read_header(cinfo, TRUE);
    image_code code =
        image_check_size("JPEG", cinfo->image_width, cinfo->image_height, job->limits, job->err);
    if (code != IMAGE_OK) give_up(job, code);
    choose_colours(job);
    limit_scans(job);
}

static void describe(jpeg_job *job) {
    int orientation = exif_orientation(job->exif, job->exif_size);
    int width = (int)job->cinfo.image_width, height = (int)job->cinfo.image_height;
    bool swaps = orientation_swaps(orientation);
    job->info = (image_info){"jpeg", swaps ? height : width, swaps ? width : height, orientation};
}

static void *pool_alloc(jpeg_job *job, size_t size) {
    return job->cinfo.mem->alloc_large((j_common_ptr)&job->cinfo, JPOOL_IMAGE, size);
}

/* Decodes the next row into out. */
static void read_row(jpeg_job *job, uint8_t *out) {
    bool cmyk = job->cmyk != NULL;
    JSAMPROW row = cmyk ? job->cmyk : out;
    if (jpeg_read_scanlines(&job->cinfo, &row, 1) != 1) truncated(job);
    if (cmyk) cmyk_to_rgb(row, out, (int)job->cinfo.output_width);
}

/* Has libjpeg decode only the columns wanted; returns the first one it will give. */
static int crop_columns(jpeg_job *job, const jpeg_window *window) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    int whole = (int)cinfo->output_width;
    int left = window->left < CROP_MARGIN ? 0 : window->left - CROP_MARGIN;
    int right = whole - window->right < CROP_MARGIN ? whole : window->right + CROP_MARGIN;
    JDIMENSION from = (JDIMENSION)left, width = (JDIMENSION)(right - left);
    if (right - left < whole) jpeg_crop_scanline(cinfo, &from, &width); /* to whole blocks */
    return (int)from;
}

/* Passes over rows, so that the next one is row y. */
static void skip_rows(jpeg_job *job, int y) {
    JDIMENSION count = (JDIMENSION)y - job->cinfo.output_scanline;
    if (count > 0 && jpeg_skip_scanlines(&job->cinfo, count) != count) truncated(job);
}

static void start(jpeg_job *job, jpeg_window *window) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    *window = (jpeg_window){8, 0, (int)cinfo->image_width, 0, (int)cinfo->image_height};
    image_code code = job->target->begin(job->target, &job->info, window, job->err);
    if (code != IMAGE_OK) give_up(job, code);
    cinfo->scale_num = (unsigned)window->eighths;
    cinfo->scale_denom = 8;
    jpeg_start_decompress(cinfo);
    /* Files of several scans are smoothed across blocks, for which nothing may be left out. */
    if (jpeg_has_multiple_scans(cinfo))
        *window = (jpeg_window){window->eighths, 0, (int)cinfo->output_width, 0,
                                (int)cinfo->output_height};
}

/* All rows have been read: true if nothing of them was missing. */
static bool is_whole(const jpeg_job *job) {
    const struct jpeg_decompress_struct *cinfo = &job->cinfo;
    if (!job->ended) return true;
    if (job->starved || cinfo->arith_code) return false; /* arithmetic decoding never starves */
    for (int c = 0; c < cinfo->num_components; c++) {
        if (!cinfo->comp_info[c].quant_table) return false; /* in no scan */
        for (int k = 0; cinfo->progressive_mode && k < DCTSIZE2; k++)
            if (cinfo->coef_bits[c][k] != 0) return false; /* not, or not to its last bit */
    }
    return true;
}

static void read_pixels(jpeg_job *job) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    jpeg_window window;
    start(job, &window);
    int width = (int)cinfo->output_width, last = (int)cinfo->output_height - 1;
    size_t stride = (size_t)width * 3;
    uint8_t *strip = pool_alloc(job, stride * STRIP_ROWS + RESAMPLER_OVERREAD);
    if (cinfo->out_color_space == JCS_CMYK) job->cmyk = pool_alloc(job, (size_t)width * 4);
    uint8_t *into = strip + (size_t)crop_columns(job, &window) * 3;

    skip_rows(job, window.top);
    for (int y = window.top, count; y < window.bottom; y += count) {
        count = window.bottom - y < STRIP_ROWS ? window.bottom - y : STRIP_ROWS;
        for (int i = 0; i < count; i++)
            read_row(job, into + (size_t)i * stride);
        job->target->rows(job->target, strip, y, count, width);
    }
    if (window.bottom <=
        last) { /* skipping the last row would be the end, whatever the file holds */
        skip_rows(job, last);
        read_row(job, into);
    }
    if (!is_whole(job)) truncated(job);
}

/* The part that libjpeg may leave by on_error. What it changes lives in *job, which is not its own,
 * so that nothing is lost by the jump. */
static void run(jpeg_job *job) {
    if (setjmp(job->escape)) return;
    jpeg_create_decompress(&job->cinfo);
    job->cinfo.client_data = job;
    job->cinfo.src = &job->source;
    job->cinfo.progress = &job->progress;
    jpeg_set_marker_processor(&job->cinfo, JPEG_APP0 + 1, take_app1);
    read_header(job);
    describe(job);
    if (job->target) read_pixels(job);
    job->code = IMAGE_OK;
}

/* The length without padding behind the picture. It would be taken for pixels where some are cut
 * off, and so be a picture that nothing is missing of. A stuffed FF at the end is none. */
static size_t length_unpadded(const uint8_t *bytes, size_t size) {
    size_t end = size;
    while (end > 2 && (bytes[end - 1] == 0 || bytes[end - 1] == 0xFF))
        end--;
    bool stuffed = size - end >= 2 && bytes[end] == 0xFF && bytes[end + 1] == 0;
    return stuffed ? end + 2 : end;
}

/* target may be NULL. */
static image_code read_file(const uint8_t *bytes, size_t size, const image_limits *limits,
                            jpeg_target *target, image_info *info, image_error *err) {
    if (size >= 3 && bytes[2] != 0xFF)
        return image_fail(err, IMAGE_UNDECODABLE, "JPEG has no marker after its start");
    jpeg_job job = {
        .size = size, .limits = limits, .target = target, .err = err, .code = IMAGE_UNDECODABLE};
    job.cinfo.client_data = &job; /* jpeg_create_decompress keeps it; it may fail already */
    job.cinfo.err = jpeg_std_error(&job.errors);
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.errors.output_message = on_output;
    job.progress.progress_monitor = on_progress;
    job.source = (struct jpeg_source_mgr){
        .next_input_byte = bytes,
        .bytes_in_buffer = length_unpadded(bytes, size),
        .init_source = source_nothing,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
    run(&job);
    jpeg_destroy_decompress(&job.cinfo);
    free(job.exif);
    if (job.code == IMAGE_OK) *info = job.info;
    return job.code;
}

image_code inspect_jpeg(const uint8_t *bytes, size_t size, const image_limits *limits,
                        image_info *info, image_error *err) {
    return read_file(bytes, size, limits, NULL, info, err);
}

image_code read_jpeg(const uint8_t *bytes, size_t size, const image_limits *limits,
                     jpeg_target *target, image_error *err) {
    image_info info;
    return read_file(bytes, size, limits, target, &info, err);
}

/* ---- the whole picture -------------------------------------------------------------------- */

typedef struct {
    jpeg_target target;
    image img;
    int orientation;
} whole_picture;

static image_code begin_picture(jpeg_target *target, const image_info *info, jpeg_window *window,
                                image_error *err) {
    (void)window;
    whole_picture *whole = (whole_picture *)target;
    whole->orientation = info->orientation;
    return image_alloc_pixels(&whole->img, info->width, info->height, 3, err);
}

static void place_strip(jpeg_target *target, const uint8_t *rows, int y, int count, int width) {
    (void)width;
    whole_picture *whole = (whole_picture *)target;
    place_rows(&whole->img, whole->orientation, rows, y, count);
}

image_code decode_jpeg(const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                       int *orientation, image_error *err) {
    whole_picture whole = {.target = {begin_picture, place_strip}};
    image_code code = read_jpeg(bytes, size, limits, &whole.target, err);
    if (code != IMAGE_OK) {
        image_free(&whole.img);
        return code;
    }
    *orientation = whole.orientation;
    *out = whole.img;
    return IMAGE_OK;
}
