/* test_exif.c: orientations out of EXIF blocks, sound and unsound. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* From a copy of exactly that size, so that the sanitizer sees a read past it. */
static int orientation_of(const char *block, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, block, size);
    int orientation = exif_orientation(copy, size);
    free(copy);
    return orientation;
}

#define OF(block) orientation_of(block, sizeof(block) - 1)

Test(exif, reads_both_byte_orders_with_and_without_prefix) {
    cr_expect_eq(OF("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"), 6);
    cr_expect_eq(OF("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"), 6);
    cr_expect_eq(OF("Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\3\0\0\0\0\0\0"), 3);
    cr_expect_eq(OF("II*\0\x08\0\0\0\1\0\x12\1\4\0\1\0\0\0\x08\0\0\0"), 8); /* LONG, no next IFD */
}

Test(exif, finds_the_entry_behind_others) {
    cr_expect_eq(OF("II*\0\x0a\0\0\0\xff\xff\2\0\x0f\1\2\0\4\0\0\0abc\0\x12\1\3\0\1\0\0\0\5\0\0\0"),
                 5);
}

Test(exif, nonsense_means_upright) {
    cr_expect_eq(exif_orientation(NULL, 0), 1);
    cr_expect_eq(OF(""), 1);
    cr_expect_eq(OF("Exif\0\0"), 1);
    cr_expect_eq(OF("II*\0"), 1);
    cr_expect_eq(OF("II*\0\x08\0\0\0"), 1);           /* ends before IFD 0 */
    cr_expect_eq(OF("II*\0\x07\0\0\0\0\0"), 1);       /* IFD 0 in the header */
    cr_expect_eq(OF("II*\0\xff\xff\xff\xff\0\0"), 1); /* IFD 0 far away */
    cr_expect_eq(OF("II*\0\x08\0\0\0\xff\xff"), 1);   /* entries that are not there */
    cr_expect_eq(OF("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6"), 1);
    cr_expect_eq(OF("XX*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 1);
    cr_expect_eq(OF("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x09\0\0\0"), 1);
    cr_expect_eq(OF("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\0\0\0\0"), 1);
    cr_expect_eq(OF("II*\0\x08\0\0\0\1\0\x12\1\2\0\1\0\0\0\6\0\0\0"), 1); /* a letter */
    cr_expect_eq(OF("II+\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 1); /* BigTIFF */
}

/* More of them are among the files of make_reference.py. */
Test(exif, takes_the_first_of_several_values) {
    cr_expect_eq(OF("II*\0\x08\0\0\0\1\0\x12\1\3\0\2\0\0\0\6\0\3\0"), 6);
    cr_expect_eq(OF("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\3\0\0\0\x16\0\x08\0\1\0\1"), 8);
    /* the last of which, or all, lie outside */
    cr_expect_eq(OF("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\3\0\0\0\x16\0\x08\0\1\0"), 1);
    cr_expect_eq(OF("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\3\0\0\0\x1c\0\x08\0\1\0\1"), 1);
    cr_expect_eq(OF("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\3\xff\xff\xff\xff\0\x08"), 1);
}

Test(exif, knows_a_block_by_its_header) {
    cr_expect(exif_begins((const uint8_t *)"Exif\0\0Exif\0\0II*\0\x08\0\0\0", 20));
    cr_expect(exif_begins((const uint8_t *)"MM\0*\0\0\0\x08", 8));
    cr_expect_not(exif_begins((const uint8_t *)"MM\0*\0\0\0", 7));
    cr_expect_not(exif_begins((const uint8_t *)"MMMM\0\0\0\x08", 8));
    cr_expect_not(exif_begins(NULL, 0));
}
