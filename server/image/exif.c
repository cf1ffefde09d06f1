/* exif.c: the orientation out of an EXIF block.
 *
 * An EXIF block is a TIFF file without a picture, and comes out of a file of unknown origin. Only
 * tag 0x0112 of IFD 0 is wanted, so IFD 0 is walked here with every offset checked, and libexif
 * reads numbers and names tags. Its own loader, exif_data_load_data, goes down every pointer it
 * finds: a block of 64 KB made for the purpose kept it busy for 1.4 seconds.
 *
 * What is no clean EXIF is read as Pillow reads it: the value may be of any number type, of several
 * values the first counts, and an entry whose values lie outside the block is passed over.
 *
 * A block that makes no sense means orientation 1, never an error: the pixels are fine without it.
 */
#include "internal.h"

#include <libexif/exif-format.h>
#include <libexif/exif-tag.h>
#include <libexif/exif-utils.h>
#include <string.h>

enum {
    TIFF_HEADER = 8, /* byte order, 42, offset of IFD 0 */
    ENTRY = 12,      /* tag, format, number of components, value or its offset */
    FORMAT_IFD = 13, /* a LONG, of which libexif does not know */
    MAX_ORIENTATION = 8
};

static const uint8_t prefix[6] = {'E', 'x', 'i', 'f', 0, 0};

typedef struct {
    const uint8_t *bytes;
    size_t size; /* at least TIFF_HEADER */
    ExifByteOrder order;
} tiff;

/* ---- one value ---------------------------------------------------------------------------- */

/* 0 unless the quotient is a whole number. */
static int64_t quotient(int64_t numerator, int64_t denominator) {
    return denominator && numerator % denominator == 0 ? numerator / denominator : 0;
}

static int64_t whole(double v) {
    return v >= 1 && v <= MAX_ORIENTATION && v == (double)(int)v ? (int64_t)v : 0;
}

static int64_t read_float(const uint8_t *at, ExifByteOrder order) {
    uint32_t bits = exif_get_long(at, order);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return whole((double)v);
}

static int64_t read_double(const uint8_t *at, ExifByteOrder order) {
    bool motorola = order == EXIF_BYTE_ORDER_MOTOROLA;
    uint64_t high = exif_get_long(at + (motorola ? 0 : 4), order);
    uint64_t bits = high << 32 | exif_get_long(at + (motorola ? 4 : 0), order);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return whole(v);
}

/* Bytes and text are no numbers to Pillow, nor to browsers. */
static int64_t read_number(const uint8_t *at, int format, ExifByteOrder order) {
    switch (format) {
    case EXIF_FORMAT_SBYTE:
        return (int8_t)at[0];
    case EXIF_FORMAT_SHORT:
        return exif_get_short(at, order);
    case EXIF_FORMAT_SSHORT:
        return exif_get_sshort(at, order);
    case EXIF_FORMAT_LONG:
    case FORMAT_IFD:
        return exif_get_long(at, order);
    case EXIF_FORMAT_SLONG:
        return exif_get_slong(at, order);
    case EXIF_FORMAT_RATIONAL:
        return quotient(exif_get_long(at, order), exif_get_long(at + 4, order));
    case EXIF_FORMAT_SRATIONAL:
        return quotient(exif_get_slong(at, order), exif_get_slong(at + 4, order));
    case EXIF_FORMAT_FLOAT:
        return read_float(at, order);
    case EXIF_FORMAT_DOUBLE:
        return read_double(at, order);
    default:
        return 0;
    }
}

/* ---- IFD 0 -------------------------------------------------------------------------------- */

static size_t format_size(int format) {
    return format == FORMAT_IFD ? 4 : exif_format_get_size((ExifFormat)format);
}

/* Where the values of an entry lie: in the entry if they fit. NULL if it has none, or not all of
 * them are in the block. */
static const uint8_t *entry_values(const tiff *t, const uint8_t *entry, size_t component_size) {
    uint64_t size = (uint64_t)exif_get_long(entry + 4, t->order) * component_size;
    if (size == 0) return NULL;
    if (size <= 4) return entry + 8;
    size_t at = exif_get_long(entry + 8, t->order);
    return at <= t->size && size <= t->size - at ? t->bytes + at : NULL;
}

/* The first orientation that has a value; 0 if there is none. */
static int64_t walk_ifd0(const tiff *t) {
    size_t at = exif_get_long(t->bytes + 4, t->order);
    if (at < TIFF_HEADER || at > t->size - 2) return 0;
    unsigned count = exif_get_short(t->bytes + at, t->order);
    at += 2;
    for (unsigned i = 0; i < count && t->size - at >= ENTRY; i++, at += ENTRY) {
        const uint8_t *entry = t->bytes + at;
        if (exif_get_short(entry, t->order) != EXIF_TAG_ORIENTATION) continue;
        int format = exif_get_short(entry + 2, t->order);
        const uint8_t *values = entry_values(t, entry, format_size(format));
        if (values) return read_number(values, format, t->order);
    }
    return 0;
}

/* Behind any prefixes: "II" or "MM", and a 42 of either byte order. */
static bool find_tiff(const uint8_t *bytes, size_t size, tiff *out) {
    for (; exif_has_prefix(bytes, size); size -= sizeof(prefix))
        bytes += sizeof(prefix);
    if (!bytes || size < TIFF_HEADER) return false;
    bool intel = memcmp(bytes, "II", 2) == 0, motorola = memcmp(bytes, "MM", 2) == 0;
    if (!intel && !motorola) return false;
    if (memcmp(bytes + 2, "*\0", 2) != 0 && memcmp(bytes + 2, "\0*", 2) != 0) return false;
    *out = (tiff){bytes, size, intel ? EXIF_BYTE_ORDER_INTEL : EXIF_BYTE_ORDER_MOTOROLA};
    return true;
}

bool exif_has_prefix(const uint8_t *bytes, size_t size) {
    return bytes && size >= sizeof(prefix) && memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

bool exif_begins(const uint8_t *bytes, size_t size) {
    tiff t;
    return find_tiff(bytes, size, &t);
}

int exif_orientation(const uint8_t *exif, size_t size) {
    tiff t;
    int64_t found = find_tiff(exif, size, &t) ? walk_ifd0(&t) : 0;
    return found >= 1 && found <= MAX_ORIENTATION ? (int)found : 1;
}
