/* model.json: every key, and an error for everything that may be wrong with one. */
#include "json/config_file.h"
#include "json/model_config.h"

#include "folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_config(const char *text, model_config *out, char *message) {
    *out = (model_config){0};
    return model_config_read(text, strlen(text), out, message, 512);
}

Test(model_config, every_key) {
    model_config c;
    char message[512] = "";
    cr_assert(
        read_config("{\"labels\": \"l.txt\", \"input\": {\"color\": \"BGR\", \"resize\": {\"mode\":"
                    "\"exact\", \"size\": [10, 20], \"filter\": \"lanczos\"}, \"crop\": 8, "
                    "\"rounding\": \"torchvision\","
                    "\"scale\": 1, \"mean\": [104, 117, 123], \"std\": [1, 2, 3]},"
                    "\"output\": {\"name\": \"out\", \"activation\": \"sigmoid\"},"
                    "\"precision\": \"bf16\"}",
                    &c, message),
        "%s", message);
    cr_expect_str_eq(c.labels, "l.txt");
    cr_expect(c.has_color && c.color == IMAGE_BGR);
    cr_expect(c.has_resize && c.resize == IMAGE_RESIZE_EXACT);
    cr_expect(c.size.height == 10 && c.size.width == 20);
    cr_expect(c.has_filter && c.filter == IMAGE_LANCZOS);
    cr_expect(c.has_crop && c.crop.height == 8 && c.crop.width == 8);
    cr_expect_eq(c.rounding, IMAGE_ROUND_TORCHVISION);
    cr_expect(c.has_scale && c.scale == 1);
    cr_expect(c.mean_count == 3 && c.mean[1] == 117 && c.std_count == 3 && c.std[2] == 3);
    cr_expect_str_eq(c.output, "out");
    cr_expect_eq(c.activation, CONFIG_SIGMOID);
    cr_expect_str_eq(c.precision, "bf16");
    model_config_free(&c);
}

Test(model_config, one_value_for_all_channels) {
    model_config c;
    char message[512];
    cr_assert(read_config("{\"input\": {\"mean\": 0.5, \"std\": [2]}}", &c, message), "%s",
              message);
    cr_expect(c.mean_count == 1 && c.mean[0] == 0.5f && c.std_count == 1 && c.std[0] == 2);
    model_config_free(&c);
}

Test(model_config, labels_in_the_file) {
    model_config c;
    char message[512];
    cr_assert(read_config("{\"labels\": [\"cat\", \"d\\u00f6g\", 7]}", &c, message), "%s", message);
    cr_expect(c.label_count == 3 && !c.labels);
    cr_expect_str_eq(c.label_names[1], "d\xc3\xb6g");
    cr_expect_str_eq(c.label_names[2], "7");
    cr_expect_str_eq(c.labels_file, MODEL_CONFIG_FILE);
    model_config_free(&c);
}

Test(model_config, nothing_given) {
    model_config c;
    char message[512];
    cr_assert(read_config("{}", &c, message));
    cr_expect(!c.labels && !c.output && !c.precision);
    cr_expect(!c.has_color && !c.has_resize && !c.has_filter && !c.has_scale);
    cr_expect(c.size.height == 0 && c.crop.height == 0 && c.mean_count == 0 && c.std_count == 0);
    cr_expect_eq(c.activation, CONFIG_AUTO);
}

Test(model_config, errors) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"label\": \"x\"}", "unknown key 'label'; did you mean 'labels'?"},
        {"{\"input\": {\"resize\": {\"sise\": 3}}}",
         "unknown key 'input.resize.sise'; did you mean 'size'?"},
        {"{\"foo\": 1}", "unknown key 'foo'; there are 'labels', 'input', 'output', 'precision'"},
        {"[]", "the file must be an object"},
        {"{\"input\": 3}", "input must be an object"},
        {"{\"input\": {\"color\": \"rgb\"}}", "input.color must be one of RGB|BGR|GRAY, not 'rgb'"},
        {"{\"input\": {\"color\": 1}}", "input.color must be one of RGB|BGR|GRAY"},
        {"{\"input\": {\"crop\": 0}}",
         "input.crop must be a whole number from 1 to 16384, or [height, width]"},
        {"{\"input\": {\"crop\": 2.5}}",
         "input.crop must be a whole number from 1 to 16384, or [height, width]"},
        {"{\"input\": {\"crop\": [1, 2, 3]}}", "input.crop must be a number or [height, width]"},
        {"{\"input\": {\"scale\": \"1\"}}", "input.scale must be a number that a float holds"},
        {"{\"input\": {\"scale\": 1e60}}", "input.scale must be a number that a float holds"},
        {"{\"input\": {\"mean\": \"3\"}}",
         "input.mean must be a number, or an array of 1 or 3, one a channel"},
        {"{\"input\": {\"mean\": []}}",
         "input.mean must be a number, or an array of 1 or 3, one a channel"},
        {"{\"input\": {\"mean\": [1, 2]}}",
         "input.mean must be a number, or an array of 1 or 3, one a channel"},
        {"{\"input\": {\"scale\": 0}}", "input.scale must not be 0"},
        {"{\"input\": {\"std\": 0}}", "input.std must not hold 0"},
        {"{\"input\": {\"std\": [1, -1, 1]}}", "input.std must not hold negative numbers"},
        {"{\"input\": {\"std\": [1, 0, 1]}}", "input.std must not hold 0"},
        {"{\"labels\": \"../labels.txt\"}", "labels must be the name of a file beside model.json"},
        {"{\"labels\": \"\"}", "labels must be a string that is not empty"},
        {"{\"labels\": 3}",
         "labels must be the name of a file, or an array with a label for each class"},
        {"{\"labels\": []}", "labels must be an array with a label for each class"},
        {"{\"labels\": [\"a\", null]}", "labels: the label of class 1 must be a string"},
        {"{\"output\": {\"activation\": \"relu\"}}",
         "output.activation must be one of auto|softmax|sigmoid|none, not 'relu'"},
        {"{\"precision\": \"fp16\"}", "precision must be one of fp32|bf16|int8|auto, not 'fp16'"},
    };
    model_config c;
    char message[512];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_not(read_config(cases[i].text, &c, message), "%s", cases[i].text);
        cr_expect_str_eq(message, cases[i].message);
    }
}

Test(model_config, no_json) {
    model_config c;
    char message[512];
    cr_expect_not(read_config("{\"labels\": \"a\",\n}", &c, message));
    cr_expect_eq(strncmp(message, "no valid JSON: ", 15), 0, "%s", message);
    cr_expect_not(read_config("{\"labels\": \"a\", \"labels\": \"b\"}", &c, message));
    cr_expect_not(read_config("", &c, message));
}

Test(config_file, values_as_typed) {
    char *folder = folder_create(), path[600], message[600];
    config_entries entries = {0};
    folder_write_text(folder, "c.json",
                      "{\"port\": 80, \"max-body\": \"20MiB\", \"model\": [\"a=b\", \"c=d\"],"
                      "\"log\": true, \"x\": 0.5}");
    snprintf(path, sizeof path, "%s/c.json", folder);
    cr_assert(config_file_read(path, &entries, message, sizeof message), "%s", message);
    static const char *const want[][2] = {{"port", "80"},   {"max-body", "20MiB"}, {"model", "a=b"},
                                          {"model", "c=d"}, {"log", "true"},       {"x", "0.5"}};
    cr_assert_eq(entries.count, 6);
    for (size_t i = 0; i < 6; i++) {
        cr_expect_str_eq(entries.items[i].key, want[i][0]);
        cr_expect_str_eq(entries.items[i].value, want[i][1]);
    }
    config_entries_free(&entries);
    folder_remove(folder);
}

Test(config_file, in_utf16) {
    char *folder = folder_create(), path[600], message[600];
    config_entries entries = {0};
    static const char text[] = "\xff\xfe{\0\"\0p\0\"\0:\0 \0008\0}\0\r\0\n";
    folder_write(folder, "c.json", text, sizeof text);
    snprintf(path, sizeof path, "%s/c.json", folder);
    cr_assert(config_file_read(path, &entries, message, sizeof message), "%s", message);
    cr_assert_eq(entries.count, 1);
    cr_expect_str_eq(entries.items[0].value, "8");
    config_entries_free(&entries);
    folder_write(folder, "c.json", text, sizeof text - 1);
    cr_expect_not(config_file_read(path, &entries, message, sizeof message));
    cr_expect_not_null(strstr(message, "UTF-16 text that breaks off"), "%s", message);
    folder_remove(folder);
}

Test(config_file, refused) {
    static const char *const texts[] = {
        "[]", "{\"a\": null}", "{\"a\": {}}", "{\"a\": [[1]]}", "{", "{\"a\": 1, \"a\": 2}"};
    char *folder = folder_create(), path[600], message[600];
    config_entries entries = {0};
    snprintf(path, sizeof path, "%s/c.json", folder);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        folder_write_text(folder, "c.json", texts[i]);
        cr_expect_not(config_file_read(path, &entries, message, sizeof message), "%s", texts[i]);
        cr_expect_not_null(strstr(message, path));
    }
    cr_expect_not(config_file_read("/nonexistent.json", &entries, message, sizeof message));
    folder_remove(folder);
}
