/* exif.c: the orientation out of an EXIF block (libexif does the parsing).
 *
 * An EXIF block comes out of a file of unknown origin: lengths and the byte-order mark are checked
 * before libexif sees it, and nothing but tag 0x0112 of IFD 0 is used. A block that makes no sense
 * means orientation 1, never an error: the pixels are fine without it.
 */
#include "internal.h"

#include <libexif/exif-data.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t prefix[6] = {'E', 'x', 'i', 'f', 0, 0};

enum {
    TIFF_HEADER = 8,     /* byte order, 42, offset of IFD 0 */
    MAX_BLOCK = 1 << 20, /* JPEG's are below 64 KiB; PNG and WebP could hold more */
};

static bool is_tiff(const uint8_t *tiff, size_t size) {
    return size >= TIFF_HEADER && (memcmp(tiff, "II*\0", 4) == 0 || memcmp(tiff, "MM\0*", 4) == 0);
}

/* Reads a value of orientation; 0 if it is not there. */
static int read_orientation(ExifData *data) {
    ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (!entry || !entry->data || entry->components < 1) return 0;
    ExifByteOrder order = exif_data_get_byte_order(data);
    if (entry->format == EXIF_FORMAT_SHORT && entry->size >= 2)
        return exif_get_short(entry->data, order);
    if (entry->format == EXIF_FORMAT_LONG && entry->size >= 4)
        return (int)exif_get_long(entry->data, order);
    return 0;
}

int exif_orientation(const uint8_t *exif, size_t size) {
    if (exif && size >= sizeof(prefix) && memcmp(exif, prefix, sizeof(prefix)) == 0) {
        exif += sizeof(prefix);
        size -= sizeof(prefix);
    }
    if (!exif || size > MAX_BLOCK || !is_tiff(exif, size)) return 1;

    int orientation = 0;
    uint8_t *block = malloc(sizeof(prefix) + size); /* libexif wants the prefix */
    ExifData *data = block ? exif_data_new() : NULL;
    if (data) {
        memcpy(block, prefix, sizeof(prefix));
        memcpy(block + sizeof(prefix), exif, size);
        exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
        exif_data_load_data(data, block, (unsigned int)(sizeof(prefix) + size));
        orientation = read_orientation(data);
        exif_data_unref(data);
    }
    free(block);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}
