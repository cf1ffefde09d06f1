#include "common/names.h"

#include <criterion/criterion.h>
#include <string.h>

Test(names, wildcards) {
    static const struct {
        const char *pattern, *name;
        bool match;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"?", "", false},
        {"?", "a", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"a*c", "ac", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"*pool*", "max_pool_2", true},
        {"conv?", "conv10", false},
        {"*a*b*c", "xaybzc", true},
        {"*a*b*c", "xaybz", false},
        {"fire?/*", "fire2/squeeze1x1_1", true},
        {"**", "x", true},
        {"a", "A", false},
        {"[ab]", "a", false},
        {"a.c", "abc", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(name_matches(cases[i].pattern, cases[i].name), cases[i].match, "%s on %s",
                     cases[i].pattern, cases[i].name);
}

/* Backtracking over several stars would take centuries here. */
Test(names, wildcards_take_bounded_time, .timeout = 5) {
    char name[2001];
    memset(name, 'a', sizeof name);
    name[2000] = '\0';
    cr_expect_not(name_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

static const char *const models[] = {"cifar10", "digits", "line-detector", "resnet50", "resnet18"};

Test(names, nearest_first) {
    const char *near[3];
    cr_expect_eq(names_near("digit", models, 5, name_at_array, near, 3), 1);
    cr_expect_str_eq(near[0], "digits");
    cr_expect_eq(names_near("Resnet-50", models, 5, name_at_array, near, 3), 2);
    cr_expect_str_eq(near[0], "resnet50");
    cr_expect_str_eq(near[1], "resnet18");
    cr_expect_eq(names_near("line", models, 5, name_at_array, near, 3), 1, "a beginning is near");
    cr_expect_eq(names_near("zzzzzz", models, 5, name_at_array, near, 3), 0);
    cr_expect_eq(names_near("resnet", models, 5, name_at_array, near, 1), 1);
}

Test(names, suggestions) {
    char text[300], small[20];
    cr_expect_str_eq(names_suggest("digitz", models, 5, name_at_array, text, sizeof text),
                     "; did you mean 'digits'?");
    cr_expect_str_eq(names_suggest("resnet", models, 5, name_at_array, text, sizeof text),
                     "; did you mean 'resnet50' or 'resnet18'?");
    cr_expect_str_eq(names_suggest("zzzzzz", models, 2, name_at_array, text, sizeof text),
                     "; there are 'cifar10', 'digits'");
    cr_expect_str_eq(names_suggest("zzzzzz", models, 1, name_at_array, text, sizeof text),
                     "; there is 'cifar10'");
    cr_expect_str_eq(names_suggest("zzz", models, 0, name_at_array, text, sizeof text), "");
    names_suggest("resnet", models, 5, name_at_array, small, sizeof small);
    cr_expect_lt(strlen(small), sizeof small);
}
