/* slabs_test.c - the memory of a Lua state, without Lua. */
#include "check.h"

#include "base/mark.h"
#include "base/slabs.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tests;

#define BLOCKS 20000u

typedef struct piece {
    uint8_t *bytes;
    size_t size;
    uint8_t mark; /* what each of its bytes is */
} piece;

static piece pieces[BLOCKS];

/* The same numbers in each run. */
static uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* Most blocks are small; some are not. */
static size_t random_size(void)
{
    uint32_t chosen = next_random();
    return 1 + chosen % (chosen % 16 == 0 ? 5000 : 200);
}

static bool is_whole(const piece *one, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (one->bytes[i] != one->mark) return false;
    }
    return true;
}

/* Give the piece another size, which may be 0: it ends. Its start survives. */
static void resize(lp_slabs *slabs, piece *one, size_t size)
{
    size_t least = one->size < size ? one->size : size;
    CHECK(one->size == 0 || is_whole(one, one->size));
    /* A type instead of a size, for a new block, as Lua says it. */
    one->bytes =
        lp_slabs_allocate(slabs, one->bytes, one->size ? one->size : 5, size);
    one->size = size;
    CHECK((one->bytes != NULL) == (size > 0));
    CHECK((uintptr_t)one->bytes % 16 == 0);
    CHECK(is_whole(one, least));
    one->mark = (uint8_t)next_random();
    if (size > 0) memset(one->bytes, one->mark, size);
}

static void clear(lp_slabs *slabs)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (pieces[i].size > 0) resize(slabs, &pieces[i], 0);
    }
}

static void test_blocks_keep_what_is_in_them(void)
{
    lp_slabs *slabs = lp_slabs_new();
    for (unsigned i = 0; i < 40 * BLOCKS; i++) {
        piece *one = &pieces[next_random() % BLOCKS];
        bool ends = one->size > 0 && next_random() % 3 == 0;
        resize(slabs, one, ends ? 0 : random_size());
    }
    clear(slabs);
    lp_slabs_free(slabs);
}

static void test_freed_blocks_are_used_again(void)
{
    lp_slabs *slabs = lp_slabs_new();
    size_t size = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < BLOCKS; i++)
            resize(slabs, &pieces[i], 1 + i % 300);
        if (round == 0) size = lp_slabs_size(slabs);
        clear(slabs);
    }
    CHECK(lp_slabs_size(slabs) <= size);
    lp_slabs_free(slabs);
}

/* Few blocks are left of many: the system gets what lies between them. */
static void test_empty_slabs_go_by_themselves(void)
{
    enum { MANY = 400000, SIZE = 200 };
    lp_slabs *slabs = lp_slabs_new();
    void **blocks = malloc(MANY * sizeof(*blocks));
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = lp_slabs_allocate(slabs, NULL, 0, SIZE);
        memset(blocks[i], (int)(i % 251), SIZE);
    }
    size_t most = lp_slabs_size(slabs);
    CHECK(most >= (size_t)MANY * SIZE);
    for (unsigned i = 1000; i < MANY; i++)
        lp_slabs_allocate(slabs, blocks[i], SIZE, 0);
    CHECK(lp_slabs_size(slabs) < most / 4);
    for (unsigned i = 0; i < 1000; i++) {
        const uint8_t *bytes = blocks[i];
        CHECK(bytes[0] == i % 251 && bytes[SIZE - 1] == i % 251);
    }
    /* And there is more where that came from. */
    for (unsigned i = 1000; i < MANY; i++) {
        blocks[i] = lp_slabs_allocate(slabs, NULL, 0, SIZE);
        memset(blocks[i], 1, SIZE);
    }
    CHECK(lp_slabs_size(slabs) <= most + most / 4);
    free(blocks);
    lp_slabs_free(slabs);
}

static void test_what_is_used_is_not_given_back(void)
{
    lp_slabs *slabs = lp_slabs_new();
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            bool ends = pieces[i].size > 0 && next_random() % 8 != 0;
            if (ends || next_random() % 2 == 0)
                resize(slabs, &pieces[i], ends ? 0 : random_size());
        }
        lp_slabs_give_back(slabs);
        for (unsigned i = 0; i < BLOCKS; i++)
            CHECK(pieces[i].size == 0 || is_whole(&pieces[i], pieces[i].size));
    }
    clear(slabs);
    lp_slabs_free(slabs);
}

/*
 * Blocks keep what was in them before, marks of all kinds as well; and Lua
 * writes the tag of a value over the first byte of one.
 */
static void test_no_content_is_taken_for_a_free_block(void)
{
    enum { MANY = 3000, SIZE = 48, AT = 32 };
    static const lp_mark_kind kinds[] = {LP_MARK_TIED, LP_MARK_EXECUTOR,
                                         LP_MARK_OBJECT};
    static uint8_t *used[MANY];
    lp_slabs *slabs = lp_slabs_new();
    for (unsigned i = 0; i < MANY; i++) {
        used[i] = lp_slabs_allocate(slabs, NULL, 0, SIZE);
        memset(used[i], 1, SIZE);
        uint64_t mark = lp_mark(used[i] + AT, kinds[i % 3]);
        memcpy(used[i] + AT + 8, &mark, sizeof(mark));
        used[i][AT + 8] = (uint8_t)(i / 3);
    }
    lp_slabs_give_back(slabs);
    for (unsigned i = 0; i < 20 * MANY; i++)
        memset(lp_slabs_allocate(slabs, NULL, 0, 16 + i % 999), 2, 16);
    for (unsigned i = 0; i < MANY; i++)
        CHECK(used[i][0] == 1 && used[i][AT - 1] == 1 && used[i][AT] == 1);
    lp_slabs_free(slabs);
}

static void test_nothing_is_freed_twice(void)
{
    lp_slabs *slabs = lp_slabs_new();
    CHECK(lp_slabs_allocate(slabs, NULL, 0, 0) == NULL);
    CHECK(lp_slabs_allocate(slabs, NULL, 5, 0) == NULL);
    lp_slabs_free(slabs);
    lp_slabs_free(NULL);
}

/* ---- ties ---- */

#define HEADER 32u /* of a userdata, as Lua 5.4 lays it out */
#define TIED   (HEADER + sizeof(lp_tie))

typedef void *allocator(void *slabs, void *block, size_t before, size_t after);

/* The tie in a block of that size, or one that has to grow to it. */
static lp_tie *new_tie(lp_slabs *slabs, allocator *allocate, bool grows)
{
    uint8_t *block = allocate(slabs, NULL, 7, grows ? 24 : TIED);
    if (grows) block = allocate(slabs, block, 24, TIED);
    return (lp_tie *)(void *)(block + HEADER);
}

static void free_block(lp_slabs *slabs, allocator *allocate, lp_tie *tie)
{
    CHECK(!allocate(slabs, (uint8_t *)tie - HEADER, TIED, 0));
}

static void *ended[8];
static unsigned ends;

static void note_end(void *context, void *object)
{
    CHECK(context == &ended);
    ended[ends++] = object;
}

static void tie_and_free(allocator *allocate)
{
    lp_slabs *slabs = lp_slabs_new();
    lp_tie *ties[6];
    int objects[6];
    ends = 0;
    lp_slabs_on_let_go(slabs, note_end, &ended);
    CHECK(lp_slabs_can_tie() && !lp_slabs_untie(slabs));
    for (unsigned i = 0; i < 6; i++) {
        ties[i] = new_tie(slabs, allocate, i % 2 == 1);
        if (i != 2) lp_slabs_tie(slabs, ties[i], &objects[i]);
    }
    free_block(slabs, allocate, ties[1]);
    CHECK(ends == 1 && ended[0] == &objects[1]);
    free_block(slabs, allocate, ties[2]); /* was never tied */
    CHECK(ends == 1);
    CHECK(lp_slabs_untie(slabs) == &objects[5] && !ties[5]->object);
    free_block(slabs, allocate, ties[5]);
    free_block(slabs, allocate, new_tie(slabs, allocate, false));
    CHECK(ends == 1);
    free_block(slabs, allocate, ties[4]);
    CHECK(ends == 2 && ended[1] == &objects[4]);
    lp_slabs_on_let_go(slabs, NULL, NULL);
    free_block(slabs, allocate, ties[3]);
    CHECK(ends == 2);
    CHECK(lp_slabs_untie(slabs) == &objects[0] && !lp_slabs_untie(slabs));
    free_block(slabs, allocate, ties[0]);
    lp_slabs_free(slabs);
}

static void test_an_object_is_let_go_of_with_its_tie(void)
{
    tie_and_free(lp_slabs_allocate);
    tie_and_free(lp_slabs_allocate_apart);
}

/* ---- the block that is watched ---- */

static void watch_and_free(allocator *allocate)
{
    static const size_t sizes[] = {32, 64, 1000, 5000};
    lp_slabs *slabs = lp_slabs_new();
    for (unsigned i = 0; i < 4; i++) {
        void *one = allocate(slabs, NULL, 0, sizes[i]);
        void *other = allocate(slabs, NULL, 0, sizes[i]);
        memset(one, 0, sizes[i]);
        memset(other, 0, sizes[i]);
        lp_slabs_watch(slabs, other);
        lp_slabs_watch(slabs, one);
        allocate(slabs, other, sizes[i], 0);
        CHECK(lp_slabs_watched(slabs) == one);
        allocate(slabs, one, sizes[i], 0);
        CHECK(!lp_slabs_watched(slabs));
    }
    lp_slabs_free(slabs);
}

static void test_a_watched_block_is_forgotten_when_it_is_freed(void)
{
    watch_and_free(lp_slabs_allocate);
    watch_and_free(lp_slabs_allocate_apart);
}

/* ---- loans ---- */

static void lend_and_free(allocator *allocate)
{
    enum { SIZE = (2 << 20), HEAD = 24 };
    lp_slabs *slabs = lp_slabs_new();
    char *blocks[4];
    lp_loan *loans[4];
    size_t length;
    for (unsigned i = 0; i < 4; i++) {
        blocks[i] = allocate(slabs, NULL, 4, SIZE);
        memset(blocks[i], (int)i, SIZE);
        if (i == 3) break; /* never lent */
        loans[i] = lp_slabs_lend(slabs, blocks[i] + HEAD, SIZE - HEAD);
        lp_loan_retain(loans[i]);
        CHECK(lp_slabs_lend(slabs, blocks[i] + HEAD, SIZE) == loans[i]);
        CHECK(lp_loan_bytes(loans[i], &length) == blocks[i] + HEAD &&
              length == SIZE - HEAD);
    }
    lp_loan_retain(loans[1]); /* two readers */
    lp_loan_release(loans[0]);
    allocate(slabs, blocks[0], SIZE, 0); /* through with it before Lua */
    allocate(slabs, blocks[3], SIZE, 0);
    allocate(slabs, blocks[1], SIZE, 0);
    lp_loan_release(loans[1]);
    CHECK(lp_loan_bytes(loans[1], &length)[length - 1] == 1);
    lp_loan_release(loans[1]);
    allocate(slabs, blocks[2], SIZE, 0);
    lp_slabs_free(slabs); /* and the loan outlives the state */
    CHECK(lp_loan_bytes(loans[2], &length)[length - 1] == 2);
    lp_loan_release(loans[2]);
}

static void test_a_loan_keeps_what_lua_has_freed(void)
{
    lend_and_free(lp_slabs_allocate);
    lend_and_free(lp_slabs_allocate_apart);
}

static void test_a_tie_without_slabs_is_marked_only(void)
{
    lp_tie tie;
    int object;
    lp_slabs_tie(NULL, &tie, &object);
    CHECK(tie.object == &object && tie.mark != 0);
}

static void run(const char *name, void (*test)(void))
{
    int before = failures;
    tests++;
    test();
    printf("%s %d - slabs: %s\n", failures == before ? "ok" : "not ok", tests,
           name);
    fflush(stdout);
}

int main(void)
{
    run("blocks keep what is in them", test_blocks_keep_what_is_in_them);
    run("freed blocks are used again", test_freed_blocks_are_used_again);
    run("empty slabs go by themselves", test_empty_slabs_go_by_themselves);
    run("what is used is not given back", test_what_is_used_is_not_given_back);
    run("no content is taken for a free block",
        test_no_content_is_taken_for_a_free_block);
    run("nothing is freed twice", test_nothing_is_freed_twice);
    run("an object is let go of with its tie",
        test_an_object_is_let_go_of_with_its_tie);
    run("a watched block is forgotten when it is freed",
        test_a_watched_block_is_forgotten_when_it_is_freed);
    run("a loan keeps what Lua has freed",
        test_a_loan_keeps_what_lua_has_freed);
    run("a tie without slabs is marked only",
        test_a_tie_without_slabs_is_marked_only);
    printf("1..%d\n", tests);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
