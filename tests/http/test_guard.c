/* The guard on a pair of sockets; what it refuses is driven over the server's in test_wire.py. */
#include "http/guard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static guards *all;
static guard *g;
static int ends[2]; /* the server's, the client's */
static char line[200];
static int status;

static void on_refusal(void *arg, const head_refusal *why, const char *start, size_t size) {
    cr_expect_eq(arg, ends);
    cr_expect_eq(status, 0, "refused twice");
    status = why->status;
    snprintf(line, sizeof line, "%.*s", (int)size, start ? start : "");
}

static void set_up(void) {
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    all = guards_create();
    g = guard_add(all, ends[0], on_refusal, ends);
    cr_assert(all && g);
}

static void tear_down(void) {
    guard_remove(g);
    guards_free(all);
    close(ends[0]);
    close(ends[1]);
}

static void client_sends(const char *text) {
    cr_assert_eq(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
}

/* What the library receives when it asks for `size` bytes. */
static void expect_received(size_t size, const char *expected) {
    char out[4096];
    cr_assert_leq(size, sizeof out);
    ssize_t got = recv(ends[0], out, size, 0);
    cr_assert_eq(got, (ssize_t)strlen(expected), "%zd for '%s'", got, expected);
    cr_expect_arr_eq(out, expected, (size_t)got);
}

static void expect_nothing(void) {
    char out[64];
    cr_assert_eq(recv(ends[0], out, sizeof out, 0), -1);
    cr_expect_eq(errno, EAGAIN);
}

#define GET  "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"

TestSuite(guard, .init = set_up, .fini = tear_down);

Test(guard, a_head_comes_as_a_whole) {
    expect_nothing();
    client_sends("GET / HTTP/1.1\r\nHost:");
    expect_nothing();
    cr_expect_not(guard_expects_request(g));
    client_sends(" x\r\n\r");
    expect_nothing();
    client_sends("\n");
    expect_received(100, GET);
    cr_expect(guard_expects_request(g));
    guard_request_ended(g);
    cr_expect_not(guard_expects_request(g));
}

/* Less than was asked for means to the library that there is no more. */
static void expect_full_reads(const char *text, size_t each) {
    client_sends(text);
    for (size_t left = strlen(text); left > 0;) {
        char out[4096];
        ssize_t got = recv(ends[0], out, each, 0);
        cr_assert_eq(got, (ssize_t)(left < each ? left : each), "%zu of %zu left", left,
                     strlen(text));
        cr_expect_arr_eq(out, text + strlen(text) - left, (size_t)got);
        left -= (size_t)got;
    }
}

Test(guard, reads_are_full_while_there_is_more) {
    const char text[] =
        GET POST "abc" GET "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\nabcde\r\n0\r\nX: y\r\n\r\n" POST "xyz";
    for (size_t each = 1; each <= sizeof text; each++)
        expect_full_reads(text, each);
}

Test(guard, what_nobody_reads_is_left_out) {
    client_sends(
        "\r\n\r\nGET / HTTP/1.1\r\nCookie: a=b\r\nHost: x \t\r\ncookie:c\r\nX:\t \r\n\r\n");
    expect_received(100, "GET / HTTP/1.1\r\nHost: x\r\nX:\r\n\r\n");
    client_sends("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n1;a=\"b\"\r\nx\r\n0;c\r\n\r\n");
    expect_received(
        200, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
}

Test(guard, a_wrong_head_waits_for_the_requests_before) {
    client_sends(GET POST "abcG\x01T / HTTP/1.1\r\n");
    expect_received(sizeof GET - 1, GET);
    expect_received(100, POST "abc");
    expect_nothing();
    guard_request_ended(g);
    expect_nothing();
    guard_request_ended(g);
    cr_expect_eq(status, 0);
    expect_received(100, "");
    cr_expect_eq(status, 400);
    cr_expect(strncmp(line, "G\x01T / HTTP/1.1\r\n", 16) == 0, "%s", line);
    expect_received(100, "");
}

Test(guard, a_wrong_body_waits_for_the_requests_before) {
    client_sends(GET
                 "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n");
    expect_received(200,
                    GET "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc");
    expect_nothing();
    guard_request_ended(g);
    expect_received(100, "");
    cr_expect_eq(status, 400);
    cr_expect_str_eq(line, "");
}

Test(guard, the_end_of_input_and_other_sockets_are_passed_on) {
    int others[2];
    char out[8];
    client_sends("GET / HT");
    expect_nothing();
    close(ends[1]);
    expect_received(100, "");
    cr_expect_eq(status, 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
    cr_assert_eq(write(others[1], "\0x", 2), 2);
    cr_expect_eq(recv(others[0], out, sizeof out, MSG_PEEK), 2);
    cr_expect_eq(recv(others[0], out, sizeof out, 0), -1, "nothing comes past a guard");
    cr_expect_eq(errno, ECONNRESET);
    close(others[0]);
    close(others[1]);
}
