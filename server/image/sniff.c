/* sniff.c: the format of a file from its first bytes.
 *
 * Nothing but the bytes decides: names and Content-Types lie. Formats that are not decoded here are
 * recognised all the same, because "GIF is not supported" helps whoever sent the file and "unknown
 * format" does not.
 */
#include "internal.h"

#include <string.h>

typedef struct {
    size_t offset;
    size_t length;
    const char *bytes;
    const char *name;
} signature;

#define SIGNATURE(offset, bytes, name)                                                             \
    { offset, sizeof(bytes) - 1, bytes, name }

/* First match wins, so the more specific ones stand first. */
static const signature foreign[] = {
    SIGNATURE(0, "GIF87a", "GIF"),
    SIGNATURE(0, "GIF89a", "GIF"),
    SIGNATURE(0, "BM", "BMP"),
    SIGNATURE(0, "II*\0", "TIFF"),
    SIGNATURE(0, "MM\0*", "TIFF"),
    SIGNATURE(4, "ftypavif", "AVIF"),
    SIGNATURE(4, "ftypavis", "AVIF"),
    SIGNATURE(4, "ftyphei", "HEIC"),
    SIGNATURE(4, "ftyphev", "HEIC"),
    SIGNATURE(4, "ftypmif1", "HEIF"),
    SIGNATURE(4, "ftypmsf1", "HEIF"),
    SIGNATURE(4, "ftypcrx ", "Canon raw"),
    SIGNATURE(4, "ftyp", "MP4 or QuickTime video"),
    SIGNATURE(0, "\xFF\x0A", "JPEG XL"),
    SIGNATURE(0, "\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
    SIGNATURE(0, "\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
    SIGNATURE(0, "\xFF\x4F\xFF\x51", "JPEG 2000"),
    SIGNATURE(0, "\x8AMNG\r\n\x1A\n", "MNG"),
    SIGNATURE(0, "\x8BJNG\r\n\x1A\n", "JNG"),
    SIGNATURE(0, "\0\0\1\0", "ICO"),
    SIGNATURE(0, "8BPS", "Photoshop"),
    SIGNATURE(0, "qoif", "QOI"),
    SIGNATURE(0, "\x76\x2F\x31\x01", "OpenEXR"),
    SIGNATURE(0, "#?RADIANCE", "Radiance HDR"),
    SIGNATURE(0, "DDS ", "DDS"),
    SIGNATURE(0, "%PDF-", "PDF"),
    SIGNATURE(0, "%!PS", "PostScript"),
    SIGNATURE(0, "<svg", "SVG"),
    SIGNATURE(0, "<?xml", "XML or SVG"),
    SIGNATURE(0, "<!DOCTYPE html", "HTML"),
    SIGNATURE(0, "<!doctype html", "HTML"),
    SIGNATURE(0, "<html", "HTML"),
    SIGNATURE(0, "PK\3\4", "ZIP"),
    SIGNATURE(0, "\x1F\x8B", "gzip"),
    SIGNATURE(0, "data:image/", "a data URL (outside JSON)"),
    SIGNATURE(0, "/9j/", "base64 text (outside JSON)"),
    SIGNATURE(0, "iVBORw0KGgo", "base64 text (outside JSON)"),
    SIGNATURE(0, "UklGR", "base64 text (outside JSON)"),
};

static bool has(const uint8_t *bytes, size_t size, size_t offset, const void *what, size_t length) {
    return size >= length && offset <= size - length && memcmp(bytes + offset, what, length) == 0;
}

/* True for a PNG, including one whose signature is not intact; *intact tells which. The signature
 * contains CR, LF and a byte with the top bit set so that a transfer in text mode damages it: such
 * a file still begins with the first four bytes of it, or has "IHDR" 12 bytes in where it belongs.
 */
static bool is_png(const uint8_t *bytes, size_t size, bool *intact) {
    static const char magic[] = "\x89PNG\r\n\x1A\n";
    bool begins = has(bytes, size, 0, magic, 4);
    *intact = begins && memcmp(bytes, magic, size < 8 ? size : 8) == 0;
    return begins || has(bytes, size, 12, "IHDR", 4);
}

/* Netpbm: P1 to P7 and white space. */
static bool is_netpbm(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
           (bytes[2] == '\n' || bytes[2] == '\r' || bytes[2] == ' ' || bytes[2] == '\t');
}

static const char *foreign_format(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        if (has(bytes, size, foreign[i].offset, foreign[i].bytes, foreign[i].length))
            return foreign[i].name;
    return is_netpbm(bytes, size) ? "Netpbm" : NULL;
}

file_format sniff_format(const uint8_t *bytes, size_t size, const char **foreign_name) {
    bool intact;
    if (has(bytes, size, 0, "\xFF\xD8", 2)) return FORMAT_JPEG;
    if (is_png(bytes, size, &intact)) return intact ? FORMAT_PNG : FORMAT_PNG_DAMAGED;
    if (has(bytes, size, 0, "RIFF", 4) && has(bytes, size, 8, "WEBP", 4)) return FORMAT_WEBP;
    *foreign_name = foreign_format(bytes, size);
    return *foreign_name ? FORMAT_FOREIGN : FORMAT_UNKNOWN;
}
