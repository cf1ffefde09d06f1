/* float_text.h: float32 as the shortest decimal text that reads back as the same float32. */
#ifndef CNNSERVE_FLOAT_TEXT_H
#define CNNSERVE_FLOAT_TEXT_H

#include <stddef.h>

/* Longest text, "-1234567900000000.0", and the room that float_text may scribble over. */
#define FLOAT_TEXT_MAX  19
#define FLOAT_TEXT_ROOM 48

/*
 * Writes `value` as a JSON number and returns its length; `out` has FLOAT_TEXT_ROOM bytes, of which
 * those behind the text are left undefined (no NUL). The layout is that of Python's repr: 0.1, 3.0,
 * -0.0, 1e-07, 3.4028235e+38, with an exponent below 1e-4 and from 1e16 on; so a number never looks
 * like an integer. NaN and the infinities, which JSON lacks, become null.
 */
size_t float_text(char *out, float value);

#endif
