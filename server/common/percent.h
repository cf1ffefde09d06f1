/* percent.h: hexadecimal digits of percent escapes. */
#ifndef CNNSERVE_PERCENT_H
#define CNNSERVE_PERCENT_H

/* -1 if `c` is no digit. */
static inline int percent_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte of the two digits at `text`; -1 if they are not both digits, or the byte is 0. */
static inline int percent_byte(const char *text) {
    int high = percent_digit(text[0]);
    int low = high < 0 ? -1 : percent_digit(text[1]);
    return low < 0 || high + low == 0 ? -1 : high << 4 | low;
}

#endif
