/* exif.c: the orientation out of an EXIF block.
 *
 * An EXIF block is a TIFF file without a picture, and comes out of a file of unknown origin. Only
 * tag 0x0112 of IFD 0 is wanted, so IFD 0 is walked here with every offset checked, and libexif
 * reads numbers and names tags. Its own loader, exif_data_load_data, goes down every pointer it
 * finds: a block of 64 KB made for the purpose kept it busy for 1.4 seconds.
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
    ENTRY = 12       /* tag, format, number of components, value or its offset */
};

static const uint8_t prefix[6] = {'E', 'x', 'i', 'f', 0, 0};

/* The value of an entry of IFD 0; 0 if it is none that an orientation can have. */
static uint32_t entry_value(const uint8_t *entry, ExifByteOrder order) {
    uint32_t components = exif_get_long(entry + 4, order);
    if (components != 1) return 0;
    switch (exif_get_short(entry + 2, order)) {
    case EXIF_FORMAT_SHORT:
        return exif_get_short(entry + 8, order);
    case EXIF_FORMAT_LONG:
        return exif_get_long(entry + 8, order);
    default:
        return 0;
    }
}

/* size is at least TIFF_HEADER. 0 if there is no orientation. */
static uint32_t walk_ifd0(const uint8_t *tiff, size_t size, ExifByteOrder order) {
    size_t at = exif_get_long(tiff + 4, order);
    if (at < TIFF_HEADER || at > size - 2) return 0;
    unsigned count = exif_get_short(tiff + at, order);
    at += 2;
    for (unsigned i = 0; i < count && size - at >= ENTRY; i++, at += ENTRY)
        if (exif_get_short(tiff + at, order) == EXIF_TAG_ORIENTATION)
            return entry_value(tiff + at, order);
    return 0;
}

int exif_orientation(const uint8_t *exif, size_t size) {
    if (exif && size >= sizeof(prefix) && memcmp(exif, prefix, sizeof(prefix)) == 0) {
        exif += sizeof(prefix);
        size -= sizeof(prefix);
    }
    if (!exif || size < TIFF_HEADER) return 1;
    bool intel = memcmp(exif, "II*\0", 4) == 0, motorola = memcmp(exif, "MM\0*", 4) == 0;
    if (!intel && !motorola) return 1;
    uint32_t found =
        walk_ifd0(exif, size, intel ? EXIF_BYTE_ORDER_INTEL : EXIF_BYTE_ORDER_MOTOROLA);
    return found >= 1 && found <= 8 ? (int)found : 1;
}
