/* What was measured, remembered in a file. */
#include <criterion/criterion.h>

#include "run/tuning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];

static void make_path(void) {
    strcpy(path, "/tmp/test_tuningXXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    remove(path);
}

static void remove_path(void) {
    remove(path);
}

static void write_text(const char *text) {
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static size_t read_text(char *text, size_t size) {
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    size_t n = fread(text, 1, size - 1, f);
    text[n] = 0;
    fclose(f);
    return n;
}

static tuning *open_file(void) {
    tuning *t = NULL;
    cnn_error err;
    cr_assert_eq(tuning_create(path, &t, &err), CNN_OK, "%s", err.message);
    return t;
}

TestSuite(tuning, .init = make_path, .fini = remove_path);

Test(tuning, keeps_choices_without_a_file) {
    tuning *t = NULL;
    cr_assert_eq(tuning_create(NULL, &t, NULL), CNN_OK);
    cr_assert_eq(tuning_find(t, "avx2", "conv3x3:1x2x3:4"), -1);
    tuning_add(t, "avx2", "conv3x3:1x2x3:4", 2);
    cr_assert_eq(tuning_find(t, "avx2", "conv3x3:1x2x3:4"), 2);
    cr_assert_eq(tuning_find(t, "avx512", "conv3x3:1x2x3:4"), -1);
    tuning_free(t);
}

Test(tuning, reads_back_what_it_wrote) {
    tuning *t = open_file();
    tuning_add(t, "avx2", "a", 4);
    tuning_add(t, "avx2", "b", 2);
    tuning_add(t, "avx2", "a", 0);
    tuning_free(t);
    t = open_file();
    cr_assert_eq(tuning_find(t, "avx2", "a"), 0);
    cr_assert_eq(tuning_find(t, "avx2", "b"), 2);
    tuning_free(t);
}

Test(tuning, begins_anew_on_another_cpu) {
    char text[512];
    write_text("cnnserve tuning 1 on Some other CPU\navx2 a 4\n");
    tuning *t = open_file();
    cr_assert_eq(tuning_find(t, "avx2", "a"), -1);
    tuning_add(t, "avx2", "b", 2);
    tuning_free(t);
    read_text(text, sizeof text);
    cr_assert_null(strstr(text, "Some other CPU"));
    cr_assert_null(strstr(text, "avx2 a"));
    cr_assert_not_null(strstr(text, "avx2 b 2\n"));
}

/* Adds `count` choices to the file, each time that one is made. */
static void add_many(tuning *t, int count) {
    char layer[TUNING_MAX_LAYER];
    for (int i = 0; i < count; i++) {
        snprintf(layer, sizeof layer, "conv3x3:%dx1000x1000:a-layer-with-a-rather-long-name", i);
        tuning_add(t, "avx512", layer, 2);
    }
}

/* Of two processes that write the same file, one wins; nobody finds a part of it, or a mixture. */
Test(tuning, is_written_by_two_processes) {
    enum { COUNT = 400 };
    char text[2 * COUNT * TUNING_MAX_LAYER];
    int left = 2;
    tuning *empty = open_file();
    for (int i = 0; i < left; i++)
        if (fork() == 0) {
            add_many(empty, COUNT);
            _exit(0);
        }
    while (left > 0) {
        left -= waitpid(-1, NULL, WNOHANG) > 0;
        if (access(path, F_OK) != 0) continue;
        size_t size = read_text(text, sizeof text);
        cr_assert_eq(strlen(text), size, "zeros in the file");
        cr_assert(size > 0 && text[size - 1] == '\n', "%zu bytes, cut short", size);
    }
    cr_assert_not_null(strstr(text, "avx512 conv3x3:399x"));
    tuning_free(empty);
}

Test(tuning, skips_lines_that_make_no_sense) {
    char text[512];
    tuning *t = open_file();
    tuning_add(t, "avx2", "a", 4);
    tuning_free(t);
    read_text(text, sizeof text);
    strcat(text, "avx2 b\navx2 c -4\navx2 d 2 2\navx2 e 2\n\n");
    write_text(text);
    t = open_file();
    cr_assert_eq(tuning_find(t, "avx2", "a"), 4);
    cr_assert_eq(tuning_find(t, "avx2", "b"), -1);
    cr_assert_eq(tuning_find(t, "avx2", "c"), -1);
    cr_assert_eq(tuning_find(t, "avx2", "d"), -1);
    cr_assert_eq(tuning_find(t, "avx2", "e"), 2);
    tuning_free(t);
}

Test(tuning, touches_no_file_of_others) {
    char text[64];
    tuning *t = NULL;
    cnn_error err;
    write_text("precious\n");
    cr_assert_eq(tuning_create(path, &t, &err), CNN_IO);
    cr_assert_not_null(strstr(err.message, "is no tuning file"), "%s", err.message);
    read_text(text, sizeof text);
    cr_assert_str_eq(text, "precious\n");
    cr_assert_eq(tuning_create("/tmp", &t, &err), CNN_IO);
}

static void expect_unwritable(const char *file, const char *reason) {
    tuning *t = NULL;
    cnn_error err;
    cr_assert_eq(tuning_create(file, &t, &err), CNN_IO, "%s", file);
    cr_assert(strstr(err.message, file) && strstr(err.message, reason), "%s", err.message);
    cr_assert_null(t);
}

Test(tuning, refuses_a_file_that_cannot_be_made) {
    expect_unwritable("/nonexistent/tuning", "cannot be written: No such file or directory");
    expect_unwritable("/proc/tuning", "cannot be written");
    expect_unwritable("/tmp", "Is a directory");
}

Test(tuning, is_begun_at_once) {
    char text[512];
    tuning *t = open_file();
    cr_assert_eq(tuning_status(t, NULL), CNN_OK);
    tuning_free(t);
    read_text(text, sizeof text);
    cr_assert_eq(strncmp(text, "cnnserve tuning 1 on ", 21), 0, "%s", text);
}

/* A file that can only be read serves, and says so once something new is to be remembered. */
Test(tuning, tells_what_could_not_be_written) {
    char folder[] = "/tmp/test_tuning_folderXXXXXX";
    cnn_error err;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    tuning *t = open_file();
    tuning_add(t, "avx2", "a", 4);
    cr_assert_eq(tuning_status(t, NULL), CNN_OK);
    remove(path);
    rmdir(folder);
    tuning_add(t, "avx2", "b", 2);
    cr_assert_eq(tuning_status(t, &err), CNN_IO);
    cr_assert(strstr(err.message, "cannot be written: No such file or directory"), "%s",
              err.message);
    cr_assert_eq(tuning_find(t, "avx2", "b"), 2, "it serves this process all the same");
    tuning_free(t);
}
