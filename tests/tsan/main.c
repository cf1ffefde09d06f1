#include <criterion/criterion.h>

static tsan_test *first;

void tsan_test_add(tsan_test *test) {
    test->next = first;
    first = test;
}

int main(void) {
    int count = 0;
    for (tsan_test *test = first; test; test = test->next, count++) {
        printf("%s::%s\n", test->suite, test->name);
        fflush(stdout);
        test->run();
    }
    printf("%d passed, 0 failed\n", count);
    return 0;
}
