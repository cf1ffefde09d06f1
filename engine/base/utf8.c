/* Recognising UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "base/base.h"

size_t cnn_utf8_sequence(const char *text, size_t size) {
    const unsigned char *s = (const unsigned char *)text;
    if (size == 0) return 0;
    if (s[0] < 0x80) return 1;
    size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || length > size) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xED && s[1] >= 0xA0, above = s[0] == 0xF4 && s[1] >= 0x90;
    return overlong || surrogate || above ? 0 : length;
}

bool cnn_utf8_valid(const char *text, size_t size) {
    for (size_t i = 0, step; i < size; i += step)
        if ((step = cnn_utf8_sequence(text + i, size - i)) == 0) return false;
    return true;
}
