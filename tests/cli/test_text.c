/* Numbers and tables as people read them, CSV, the progress bar, comparisons, percentiles. */
#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/entry.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/verify.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(text, numbers) {
    char t[60];
    cr_expect_str_eq(text_grouped(0, t, sizeof t), "0");
    cr_expect_str_eq(text_grouped(999, t, sizeof t), "999");
    cr_expect_str_eq(text_grouped(1000, t, sizeof t), "1,000");
    cr_expect_str_eq(text_grouped(60965224, t, sizeof t), "60,965,224");
    cr_expect_str_eq(text_scaled(999, t, sizeof t), "999");
    cr_expect_str_eq(text_scaled(60965224, t, sizeof t), "60.97 M");
    cr_expect_str_eq(text_bytes(1023, t, sizeof t), "1023 B");
    cr_expect_str_eq(text_bytes(20 << 20, t, sizeof t), "20.0 MiB");
    cr_expect_str_eq(text_shape(&(cnn_shape){4, {1, 3, -1, 224}}, t, sizeof t), "1x3x?x224");
    cr_expect_str_eq(text_shape(&(cnn_shape){0, {0}}, t, sizeof t), "scalar");
    cr_expect_str_eq(text_shape(&(cnn_shape){.rank = -1}, t, sizeof t), "?");
}

Test(text, table) {
    static const char *const titles[] = {"Name", "Count"};
    table t;
    cr_redirect_stdout();
    table_init(&t, 2, titles, "lr");
    table_add(&t, "%s", "first");
    table_add(&t, "%d", 1);
    table_add(&t, "%s", "a name that is far too long to be shown, in the middle of it");
    table_add(&t, "%d", 123456);
    table_print(&t);
    table_free(&t);
    fflush(stdout);
    cr_expect_stdout_eq_str("Name                                              Count\n"
                            "=======================================================\n"
                            "first                                                 1\n"
                            "a name that is far too...n, in the middle of it  123456\n"
                            "=======================================================\n");
}

Test(text, progress) {
    char line[160];
    cr_expect_str_eq(progress_text(50, 200, 2, line, sizeof line),
                     "[#######-----------------------] 50/200  25%  25.0/s  6s left");
    cr_expect_str_eq(progress_text(0, 200, 0, line, sizeof line),
                     "[------------------------------] 0/200   0%  0.0/s");
}

/* What has been written, a string to free. */
static char *take_text(buffer *out) {
    size_t size;
    cr_assert(buffer_append_char(out, '\0'));
    return buffer_take(out, &size);
}

static void expect_text(buffer *out, const char *want) {
    char *text = take_text(out);
    cr_expect_str_eq(text, want, "%s", text);
    free(text);
}

static model_result example(model_prediction *predictions) {
    predictions[0] = (model_prediction){2, "a \"b\", c", 0.9f};
    predictions[1] = (model_prediction){0, "d", 1e-7f};
    return (model_result){.image = {.format = "png", .width = 4, .height = 3, .orientation = 1},
                          .predictions = predictions,
                          .prediction_count = 2};
}

Test(entry, csv) {
    model_prediction predictions[2];
    model_result result = example(predictions);
    buffer out;
    buffer_init(&out, 4096);
    entry_write(&out, ENTRY_CSV, NULL, "x,y.png", &result);
    entry_write_failure(&out, ENTRY_CSV, "z.png", "PNG ends, early", "undecodable_image");
    expect_text(&out, "\"x,y.png\",1,2,\"a \"\"b\"\", c\",0.9,\n"
                      "\"x,y.png\",2,0,d,1e-07,\n"
                      "z.png,,,,,\"PNG ends, early\"\n");
}

Test(entry, json) {
    model_prediction predictions[2];
    model_result result = example(predictions);
    buffer out;
    buffer_init(&out, 4096);
    entry_write(&out, ENTRY_JSON, NULL, "x.png", &result);
    entry_write_failure(&out, ENTRY_JSON, "z.png", "PNG ends early", "undecodable_image");
    expect_text(
        &out, "{\"image\":{\"name\":\"x.png\",\"format\":\"png\",\"width\":4,\"height\":3,"
              "\"orientation\":1},\"predictions\":[{\"class_index\":2,\"label\":\"a \\\"b\\\", "
              "c\",\"probability\":0.9},{\"class_index\":0,\"label\":\"d\",\"probability\":1e-07}]"
              "}\n{\"image\":{\"name\":\"z.png\"},\"error\":\"PNG ends early\",\"code\":"
              "\"undecodable_image\"}\n");
}

Test(entry, features) {
    const float values[] = {0, 1, -1, 0, 2, 4, 6, 8};
    model_feature feature = {.name = "f",
                             .node = "n",
                             .op = "Relu",
                             .shape = {3, {2, 2, 2}},
                             .count = 8,
                             .data = values};
    model_result result = {.image = {.format = "png"}, .features = &feature, .feature_count = 1};
    static const char *const formats[] = {"array", "base64", "stats"};
    static const char *const want[] = {
        "\"data\":[[[0.0,1.0],[-1.0,0.0]],[[2.0,4.0],[6.0,8.0]]]}",
        "\"data_base64\":\"AAAAAAAAgD8AAIC/AAAAAAAAAEAAAIBAAADAQAAAAEE=\"}",
        ("\"min\":[-1.0,2.0],\"max\":[1.0,8.0],\"mean\":[0.0,5.0],\"std\":[0.70710677,2.236068],"
         "\"zeros\":[2,0]}")};
    for (int i = 0; i < 3; i++) {
        buffer out;
        buffer_init(&out, 4096);
        entry_write(&out, ENTRY_JSON, feature_format_find(formats[i]), "x", &result);
        char *text = take_text(&out);
        cr_expect_not_null(strstr(text, "\"f\":{\"op\":\"Relu\",\"shape\":[2,2,2],\"dtype\":"
                                        "\"float32\","));
        cr_expect_not_null(strstr(text, want[i]), "%s", text);
        free(text);
    }
}

Test(verify, floats) {
    const float want[] = {1, -100, 0, NAN, INFINITY};
    const float close[] = {1.0009f, -100.09f, 9e-6f, NAN, INFINITY};
    const float far[] = {1, -100.2f, 2e-5f, 0, -INFINITY};
    verify_difference d;
    cr_expect(verify_compare(close, want, CNN_FLOAT32, 5, 1e-3, 1e-5, &d));
    cr_expect_not(verify_compare(far, want, CNN_FLOAT32, 5, 1e-3, 1e-5, &d));
    cr_expect(d.count == 4 && d.index == 1 && d.want == -100);
}

Test(verify, half_floats) {
    const uint16_t want[] = {0x3c00, 0x0001, 0xfc00, 0x7e00, 0xc000}; /* 1, 2^-24, -inf, nan, -2 */
    const uint16_t other[] = {0x3c04, 0x0001, 0xfc00, 0x7e01, 0xc000};
    verify_difference d;
    cr_expect(verify_compare(want, want, CNN_FLOAT16, 5, 0, 0, &d));
    cr_expect_not(verify_compare(other, want, CNN_FLOAT16, 5, 1e-3, 0, &d));
    cr_expect(d.count == 1 && d.index == 0 && d.want == 1 && d.got == 1.00390625);
}

Test(verify, integers_must_be_equal) {
    const int64_t want[] = {1, 1000000}, other[] = {1, 1000001};
    verify_difference d;
    cr_expect(verify_compare(want, want, CNN_INT64, 2, 0, 0, &d));
    cr_expect_not(verify_compare(other, want, CNN_INT64, 2, 1, 1, &d));
    cr_expect(d.count == 1 && d.index == 1);
}

Test(bench, percentiles) {
    const uint64_t sorted[] = {10, 20, 30, 40};
    cr_expect_eq(bench_percentile(sorted, 4, 50), 25);
    cr_expect_eq(bench_percentile(sorted, 4, 0), 10);
    cr_expect_eq(bench_percentile(sorted, 4, 100), 40);
    cr_expect_eq(bench_percentile(sorted, 1, 99), 10);
}

static int run_program(const char *argument) {
    return cli_run(2, (char *[]){"cnnserve", (char *)argument});
}

Test(cli, version_help_and_unknown_commands) {
    cr_redirect_stdout();
    cr_redirect_stderr();
    cr_expect_eq(run_program("--version"), CLI_OK);
    cr_expect_eq(run_program("--help"), CLI_OK);
    cr_expect_eq(run_program("clasify"), CLI_USAGE);
    fflush(stderr);
    cr_expect_stderr_eq_str("cnnserve: unknown command 'clasify'; did you mean 'classify'?\n");
}

Test(cli, every_command_has_help) {
    size_t count;
    const cli_command *commands = cli_commands(&count);
    cr_redirect_stdout();
    cr_expect_str_eq(commands[0].name, "serve");
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(commands[i].run(2, (char *[]){"", "--help"}), CLI_OK, "%s", commands[i].name);
}
