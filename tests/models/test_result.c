#include "models/result.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(result, every_format_that_is_named_is_known) {
    char *names = strdup(FEATURE_FORMATS), *rest = names;
    for (char *name; (name = strsep(&rest, "|"));)
        cr_expect_not_null(feature_format_find(name), "%s", name);
    cr_expect_not_null(feature_format_find(FEATURE_FORMAT_DEFAULT));
    cr_expect_null(feature_format_find("Array"));
    free(names);
}

Test(result, kinds_of_failures) {
    static const struct {
        model_error err;
        failure_kind kind;
    } cases[] = {
        {{.code = MODEL_BAD_REQUEST}, {400, "bad_request"}},
        {{.code = MODEL_NOT_FOUND}, {404, "not_found"}},
        {{.code = MODEL_FEATURES_TOO_LARGE}, {413, "features_too_large"}},
        {{.code = MODEL_IMAGE, .image = IMAGE_TOO_LARGE}, {413, "image_too_large"}},
        {{.code = MODEL_IMAGE, .image = IMAGE_UNSUPPORTED}, {415, "unsupported_media_type"}},
        {{.code = MODEL_IMAGE, .image = IMAGE_UNDECODABLE}, {422, "undecodable_image"}},
        {{.code = MODEL_IMAGE, .image = IMAGE_MEMORY}, {500, "internal"}},
        {{.code = MODEL_INVALID}, {500, "internal"}},
        {{.code = MODEL_INTERNAL}, {500, "internal"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        failure_kind kind = failure_kind_of(&cases[i].err);
        cr_expect_eq(kind.status, cases[i].kind.status, "case %zu", i);
        cr_expect_str_eq(kind.word, cases[i].kind.word);
    }
}
