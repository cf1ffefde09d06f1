/* Text files in the encodings that Windows' tools write. */
#include "common/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void expect_text(const char *bytes, size_t size, const char *want) {
    decoded_text text = {0};
    const char *wrong = text_decode(bytes, size, &text);
    cr_assert_null(wrong, "%s", wrong);
    cr_expect_eq(text.size, strlen(want), "%zu bytes, not '%s'", text.size, want);
    cr_expect_eq(memcmp(text.bytes, want, strlen(want)), 0, "%s", want);
    free(text.memory);
}

static void expect_wrong(const char *bytes, size_t size, const char *part) {
    decoded_text text = {0};
    const char *wrong = text_decode(bytes, size, &text);
    cr_assert_not_null(wrong, "%s", part);
    cr_expect_not_null(strstr(wrong, part), "'%s' lacks '%s'", wrong, part);
    cr_expect_null(text.memory);
}

#define EXPECT_TEXT(bytes, want)  expect_text(bytes, sizeof(bytes) - 1, want)
#define EXPECT_WRONG(bytes, part) expect_wrong(bytes, sizeof(bytes) - 1, part)

Test(text, utf8_stays_and_loses_its_mark) {
    EXPECT_TEXT("", "");
    EXPECT_TEXT("a", "a");
    EXPECT_TEXT("caf\xc3\xa9\r\n", "caf\xc3\xa9\r\n");
    EXPECT_TEXT("\xef\xbb\xbf{}", "{}");
    EXPECT_TEXT("caf\xe9", "caf\xe9"); /* whoever wants UTF-8 says in which line it is none */
}

Test(text, utf16_of_either_order) {
    /* é U+E9, ☃ U+2603, 😀 U+1F600 */
    EXPECT_TEXT("\xff\xfe"
                "a\0\xe9\0\x03\x26\x3d\xd8\0\xde\n\0",
                "a\xc3\xa9\xe2\x98\x83\xf0\x9f\x98\x80\n");
    EXPECT_TEXT("\xfe\xff\0a\0\xe9\x26\x03\xd8\x3d\xde\0\0\n",
                "a\xc3\xa9\xe2\x98\x83\xf0\x9f\x98\x80\n");
    EXPECT_TEXT("{\0}\0", "{}");
    EXPECT_TEXT("\0{\0}", "{}");
    EXPECT_TEXT("\xff\xfe", "");
    EXPECT_TEXT("\xff\xfe\xff\x07\0\x08\xff\xff", "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
}

Test(text, what_is_neither) {
    EXPECT_WRONG("\xff\xfe"
                 "a",
                 "UTF-16 text that breaks off");
    EXPECT_WRONG("\xff\xfe\x3d\xd8", "UTF-16 text with a character that is none");
    EXPECT_WRONG("\xff\xfe\x3d\xd8"
                 "a\0",
                 "UTF-16 text with a character that is none");
    EXPECT_WRONG("\xff\xfe\0\xde"
                 "a\0",
                 "UTF-16 text with a character that is none");
    EXPECT_WRONG("\xff\xfe"
                 "a\0\0\0",
                 "UTF-16 text with a character that is none");
    EXPECT_WRONG("\xff\xfe\0\0"
                 "a\0\0\0",
                 "UTF-32");
    EXPECT_WRONG("\0\0\xfe\xff\0\0\0"
                 "a",
                 "UTF-32");
}
