/* head.h: what the request line and the headers of a request may be, line by line; see guard.h. */
#ifndef CNNSERVE_HEAD_H
#define CNNSERVE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_MAX_LINES  128 /* request line and headers; 431 */
#define HEAD_MAX_METHOD 15  /* characters */
#define HEAD_MAX_PAIRS  128 /* what '&' separates in a target; each takes memory of the library */

/* Why a request is refused: a status, a word and a sentence, all constants. `why` is NULL if it is
 * not. */
typedef struct head_refusal {
    int status;
    const char *code, *why;
} head_refusal;

/* What has been seen of a head; zeroed before its first line. */
typedef struct head {
    size_t lines;
    bool old; /* HTTP/1.0 */
    unsigned hosts, lengths, codings;
    uint64_t length;
    size_t blank; /* characters at the end of the last line, which are no part of the header */
    bool unused; /* the last line is a header that nobody reads, and the library would take apart */
} head;

/* RFC 9110, section 5.6.2. */
bool head_is_token(const char *text, size_t size);
/* The first `size` bytes of a line, of which more may follow and the first `seen` have been
 * checked: no control character, and CR and LF only together, at its end (RFC 9112, section 2.2).
 */
head_refusal head_check_bytes(const char *line, size_t seen, size_t size);
/* A whole line without its CR LF, not empty, that head_check_bytes has seen. */
head_refusal head_line(head *h, const char *line, size_t size);
/* A line behind a chunked body: a header, of no meaning to us. */
head_refusal head_trailer(const char *line, size_t size);
/* There are no more lines. */
head_refusal head_end(const head *h);

#endif
