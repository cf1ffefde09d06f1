#include "common/buffer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(buffer, grows_and_gives_its_bytes_away) {
    buffer b;
    buffer_init(&b, 1 << 20);
    for (int i = 0; i < 10000; i++)
        cr_assert(buffer_printf(&b, "%04d", i));
    cr_assert_eq(b.size, 40000);
    size_t size;
    char *bytes = buffer_take(&b, &size);
    cr_expect_eq(size, 40000);
    cr_expect_arr_eq(bytes + 39996, "9999", 4);
    cr_expect_null(b.data);
    cr_expect(buffer_append_char(&b, 'x'), "usable again");
    free(bytes);
    buffer_free(&b);
}

Test(buffer, stops_at_its_limit_and_stays_stopped) {
    buffer b;
    buffer_init(&b, 10);
    cr_expect(buffer_append_text(&b, "123456789"));
    cr_expect_not(buffer_append_text(&b, "ab"), "dropped whole");
    cr_expect_eq(b.state, BUFFER_PAST_LIMIT);
    cr_expect_not(buffer_append_char(&b, 'a'), "although it would fit");
    cr_expect_eq(b.size, 9);
    buffer_clear(&b);
    cr_expect(buffer_append_text(&b, "1234567890"), "the limit itself fits");
    buffer_free(&b);
}

Test(buffer, reserves_and_commits) {
    buffer b;
    buffer_init(&b, 100);
    char *room = buffer_reserve(&b, 50);
    cr_assert(room);
    memset(room, 'x', 50);
    buffer_commit(&b, 20);
    cr_expect_eq(b.size, 20);
    buffer_uncommit(&b, 1);
    cr_expect_eq(b.size, 19);
    cr_expect_null(buffer_reserve(&b, (size_t)-1), "no overflow");
    buffer_free(&b);
}
