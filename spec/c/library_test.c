/*
 * library_test.c - a library of one process, and of several.
 *
 * Children are forked and ask through a socket, or stand in the same process
 * and ask by a call, where only what they ask matters.
 */
#include "check.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/library.h"
#include "base/library_file.h"
#include "base/status.h"
#include "base/thread.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int tests;

/* Nothing here takes a second; what takes this long, hangs. */
#define PATIENCE_SECONDS 100u

#define LARGE ((size_t)3 << 20)

/* ---- entries that are known by a number of the test ---- */

static size_t length_of(uint32_t item)
{
    return item % 1000000 ? 4 + item % 100 : LARGE;
}

static uint8_t *bytes_of(uint32_t item)
{
    static uint8_t bytes[LARGE];
    for (size_t i = 0; i < length_of(item); i++)
        bytes[i] = (uint8_t)(item + i / 7);
    memcpy(bytes, &item, sizeof(item));
    return bytes;
}

/* Keep an item and give its number; 0 if that failed. */
static uint32_t keep(lp_library *library, uint32_t item)
{
    uint32_t number = 0;
    CHECK(lp_library_keep(library, bytes_of(item), length_of(item), &number) ==
          LP_OK);
    CHECK(number != 0);
    return number;
}

static bool has(lp_library *library, uint32_t number, uint32_t item)
{
    size_t length;
    const uint8_t *bytes = lp_library_find(library, number, &length);
    return bytes && length == length_of(item) &&
           memcmp(bytes, bytes_of(item), length) == 0;
}

/* ---- children in the same process ---- */

typedef struct call {
    lp_library *host;
    _Atomic uint32_t asked;
    int status;                /* instead of asking, unless LP_OK */
    lp_library_answer *answer; /* instead of asking, unless NULL */
} call;

static int ask_by_call(void *context, const lp_library_question *question,
                       const void *bytes, size_t length,
                       lp_library_answer *answer)
{
    call *link = context;
    link->asked++;
    if (link->status != LP_OK) return link->status;
    if (link->answer) {
        *answer = *link->answer;
    } else {
        lp_library_reply(link->host, question, bytes, length, answer);
    }
    return LP_OK;
}

/* A library that asks by a call; NULL if it could not attach. */
static lp_library *attach_to(call *link)
{
    lp_library *library = lp_library_new(NULL);
    lp_library_link about = {ask_by_call, link};
    int fd = -1;
    CHECK(library && lp_library_share(link->host, &fd) == LP_OK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK(lp_library_attach(library, fd, &about) == LP_OK);
    return library;
}

/* ---- children in processes of their own ---- */

typedef struct line {
    int fd;
    uint32_t asked;
} line;

typedef struct letter {
    lp_library_question question;
    uint64_t length;
} letter;

/* Send or receive all; false at the end of the line, or after too long. */
static bool transfer(int fd, void *bytes, size_t length, short event)
{
    for (size_t done = 0; done < length;) {
        struct pollfd polled = {fd, event, 0};
        if (poll(&polled, 1, (int)PATIENCE_SECONDS * 1000) != 1) return false;
        uint8_t *at = (uint8_t *)bytes + done;
        ssize_t moved = event == POLLIN
                            ? recv(fd, at, length - done, 0)
                            : send(fd, at, length - done, MSG_NOSIGNAL);
        if (moved <= 0) return false;
        done += (size_t)moved;
    }
    return true;
}

static int ask_by_line(void *context, const lp_library_question *question,
                       const void *bytes, size_t length,
                       lp_library_answer *answer)
{
    line *link = context;
    letter sent = {*question, length};
    link->asked++;
    if (!transfer(link->fd, &sent, sizeof(sent), POLLOUT) ||
        !transfer(link->fd, (void *)(uintptr_t)bytes, length, POLLOUT) ||
        !transfer(link->fd, answer, sizeof(*answer), POLLIN))
        return LP_CLOSED;
    return LP_OK;
}

/* Answer all questions that come from the line. */
static void serve(lp_library *library, int fd)
{
    letter received;
    while (transfer(fd, &received, sizeof(received), POLLIN)) {
        uint8_t *bytes = malloc((size_t)received.length + 1);
        lp_library_answer answer;
        bool came =
            bytes && transfer(fd, bytes, (size_t)received.length, POLLIN);
        CHECK(came);
        if (came) {
            lp_library_reply(library, &received.question, bytes,
                             (size_t)received.length, &answer);
            CHECK(transfer(fd, &answer, sizeof(answer), POLLOUT));
        }
        free(bytes);
        if (!came) break;
    }
}

typedef void child_body(lp_library *library, line *link);

static void be_child(int fd, int socket, child_body *body)
{
    line link = {socket, 0};
    lp_library_link about = {ask_by_line, &link};
    size_t live = lp_alloc_live();
    alarm(PATIENCE_SECONDS);
    failures = 0;
    lp_library *library = lp_library_new(NULL);
    CHECK(library && lp_library_attach(library, fd, &about) == LP_OK);
    if (failures == 0) body(library, &link);
    lp_library_free(library);
    CHECK(lp_alloc_live() == live);
    _exit(failures > 0);
}

/* Run body in a child of the one who has the library, and answer it. */
static void with_child(lp_library *library, child_body *body)
{
    int ends[2];
    int fd = -1;
    int status = -1;
    CHECK(lp_library_share(library, &fd) == LP_OK);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_child(fd, ends[1], body);
    }
    CHECK(pid > 0);
    close(ends[1]);
    close(fd);
    serve(library, ends[0]);
    close(ends[0]);
    /* The line has ended, or the alarm ends the child. */
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- the library of one process ---- */

static void test_keeps_equal_bytes_once(void)
{
    lp_library *library = lp_library_new(NULL);
    uint32_t number = 0;
    uint32_t empty = 0;
    size_t length;

    for (uint32_t i = 1; i < 500; i++)
        CHECK(keep(library, i) == i);
    for (uint32_t i = 1; i < 500; i++) {
        CHECK(keep(library, i) == i);
        CHECK(has(library, i, i));
    }
    CHECK(!lp_library_find(library, 0, &length));
    CHECK(!lp_library_find(library, 500, &length));
    CHECK(!lp_library_find(library, UINT32_MAX, &length));
    CHECK(lp_library_keep(library, NULL, 0, &empty) == LP_OK);
    CHECK(lp_library_keep(library, "", 0, &number) == LP_OK);
    CHECK(empty == 500 && number == empty);
    CHECK(lp_library_keep(library, NULL, 0, &number) == LP_OK);
    CHECK(number == empty);
    CHECK(lp_library_find(library, empty, &length) && length == 0);
    CHECK(lp_library_keep(library, "", LP_LIBRARY_MOST_BYTES + 1, &number) ==
          LP_INVALID);
    lp_library_free(library);
}

static void test_names_mean_the_last_number(void)
{
    lp_library *library = lp_library_new(NULL);
    CHECK(lp_library_named(library, 1) == 0);
    for (uint32_t i = 1; i < 500; i++)
        CHECK(lp_library_name(library, i, i + 1) == LP_OK);
    CHECK(lp_library_name(library, 7, 3) == LP_OK);
    CHECK(lp_library_named(library, 7) == 3);
    CHECK(lp_library_named(library, 499) == 500);
    CHECK(lp_library_named(library, 500) == 0);
    CHECK(lp_library_new_key(library) == 1);
    CHECK(lp_library_new_key(library) == 2);
    lp_library_free(library);
}

/* ---- a shared library ---- */

static void test_all_entries_are_shared(void)
{
    static uint32_t numbers[300];
    call link = {.host = lp_library_new(NULL)};
    uint32_t empty = 0;
    uint32_t large = keep(link.host, 1000000);
    size_t length;
    const uint8_t *borrowed = lp_library_find(link.host, large, &length);

    CHECK(lp_library_keep(link.host, "", 0, &empty) == LP_OK);
    for (uint32_t i = 1; i < 100; i++)
        numbers[i] = keep(link.host, i);
    lp_library *first = attach_to(&link);
    for (uint32_t i = 100; i < 200; i++)
        numbers[i] = keep(link.host, i);
    uint32_t larger = keep(link.host, 2000000);
    lp_library *second = attach_to(&link);
    for (uint32_t i = 200; i < 300; i++)
        numbers[i] = keep(link.host, i);

    lp_library *all[] = {link.host, first, second};
    for (int k = 0; k < 3; k++) {
        for (uint32_t i = 1; i < 300; i++)
            CHECK(has(all[k], numbers[i], i));
        CHECK(has(all[k], large, 1000000) && has(all[k], larger, 2000000));
        CHECK(lp_library_find(all[k], empty, &length) && length == 0);
        CHECK(!lp_library_find(all[k], 0, &length));
        CHECK(!lp_library_find(all[k], larger + 101, &length));
        CHECK(!lp_library_find(all[k], 1u << 20, &length));
        CHECK(!lp_library_find(all[k], (1u << 20) + 1, &length));
        CHECK(!lp_library_find(all[k], UINT32_MAX, &length));
    }
    CHECK(lp_library_find(link.host, large, &length) == borrowed);
    CHECK(link.asked == 0);
    lp_library_free(second);
    lp_library_free(first);
    lp_library_free(link.host);
}

/* Sizes around those of chunks, so that some do not fit and some just do. */
static void test_entries_of_all_sizes_fit(void)
{
    static uint8_t bytes[(1 << 20) + 2];
    static const size_t sizes[] = {
        65535, 65536, 1, 65537, 1 << 20, (1 << 20) + 1, 131072, 262143, 15, 16};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    for (int first = 0; first < COUNT; first++) {
        call link = {.host = lp_library_new(NULL)};
        lp_library *reader = attach_to(&link);
        uint32_t numbers[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) {
            size_t size = sizes[(first + i) % COUNT];
            bytes[0] = bytes[size - 1] = (uint8_t)(i + 1);
            CHECK(lp_library_keep(link.host, bytes, size, &numbers[i]) ==
                  LP_OK);
            bytes[0] = bytes[size - 1] = 0;
        }
        for (int i = 0; i < COUNT; i++) {
            size_t length = 0;
            const uint8_t *entry = lp_library_find(reader, numbers[i], &length);
            CHECK(entry && length == sizes[(first + i) % COUNT] &&
                  entry[0] == i + 1 && entry[length - 1] == i + 1);
        }
        lp_library_free(reader);
        lp_library_free(link.host);
    }
}

static void test_equal_bytes_are_asked_once(void)
{
    call link = {.host = lp_library_new(NULL)};
    lp_library *library = attach_to(&link);
    uint32_t number = keep(link.host, 1);
    uint32_t empty = 0;

    CHECK(has(library, number, 1));
    CHECK(keep(library, 1) == number && link.asked == 0);
    number = keep(library, 2);
    CHECK(link.asked == 1 && has(library, number, 2));
    CHECK(keep(library, 2) == number && link.asked == 1);
    CHECK(keep(link.host, 2) == number);
    CHECK(lp_library_keep(library, NULL, 0, &empty) == LP_OK);
    CHECK(lp_library_keep(library, NULL, 0, &empty) == LP_OK);
    CHECK(link.asked == 2 && empty != 0);

    link.asked = 0;
    CHECK(lp_library_name(library, 9, number) == LP_OK && link.asked == 1);
    CHECK(lp_library_name(library, 9, number) == LP_OK && link.asked == 1);
    CHECK(lp_library_name(library, 9, 1) == LP_OK && link.asked == 2);
    CHECK(lp_library_named(link.host, 9) == 1);
    CHECK(lp_library_name(library, 9, 99) == LP_INVALID);
    CHECK(lp_library_named(library, 9) == 1);
    CHECK(lp_library_name(link.host, 9, number) == LP_OK);
    CHECK(lp_library_named(library, 9) == number);
    CHECK(lp_library_named(library, 10) == 0);
    lp_library_free(library);
    lp_library_free(link.host);
}

static void test_a_failed_question_is_an_error(void)
{
    static lp_library_answer wrong[] = {{1, 1}, {LP_OK, 0}};
    call link = {.host = lp_library_new(NULL)};
    lp_library *library = attach_to(&link);
    uint32_t number = 42;

    link.status = LP_CLOSED;
    CHECK(lp_library_keep(library, "a", 1, &number) == LP_CLOSED);
    CHECK(lp_library_name(library, 1, 1) == LP_CLOSED);
    CHECK(lp_library_named(library, 1) == 0);
    CHECK(lp_library_keep(library, "", LP_LIBRARY_MOST_BYTES + 1, &number) ==
          LP_INVALID);
    link.status = LP_OK;
    for (int i = 0; i < 2; i++) {
        link.answer = &wrong[i];
        CHECK(lp_library_keep(library, "a", 1, &number) == LP_CORRUPT);
    }
    CHECK(number == 42);
    link.answer = NULL;
    CHECK(lp_library_keep(library, "a", 1, &number) == LP_OK && number == 1);
    CHECK(lp_library_name(library, 1, 1) == LP_OK);
    CHECK(lp_library_named(link.host, 1) == 1);
    lp_library_free(library);
    lp_library_free(link.host);
}

static void test_nonsense_is_refused(void)
{
    static const struct {
        lp_library_question question;
        const char *bytes;
        size_t length;
    } cases[] = {
        {{0, 0, 0}, NULL, 0},
        {{4, 1, 1}, NULL, 0},
        {{UINT32_MAX, 1, 1}, "a", 1},
        {{LP_LIBRARY_KEEP, 0, 0}, NULL, 1},
        {{LP_LIBRARY_KEEP, 0, 0}, "a", SIZE_MAX},
        {{LP_LIBRARY_KEEP, 0, 0}, "a", LP_LIBRARY_MOST_BYTES + 1},
        {{LP_LIBRARY_NAME, 1, 0}, NULL, 0},
        {{LP_LIBRARY_NAME, 0, 1}, NULL, 0},
        {{LP_LIBRARY_NAME, 2, 1}, NULL, 0},
        {{LP_LIBRARY_NAME, UINT32_MAX, 1}, NULL, 0},
        {{LP_LIBRARY_NAME, 1, 1}, "a", 1},
        {{LP_LIBRARY_NAMED, 0, 0}, NULL, 0},
        {{LP_LIBRARY_NAMED, 0, 1}, "a", 1},
    };
    call link = {.host = lp_library_new(NULL)};
    lp_library *library = attach_to(&link);
    CHECK(keep(link.host, 1) == 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lp_library *either[] = {link.host, library};
        for (int k = 0; k < 2; k++) {
            lp_library_answer answer = {LP_OK, 1};
            lp_library_reply(either[k], &cases[i].question, cases[i].bytes,
                             cases[i].length, &answer);
            CHECK(answer.status == LP_INVALID && answer.number == 0);
        }
    }
    CHECK(lp_library_named(link.host, 1) == 0);
    CHECK(keep(library, 2) == 2);
    lp_library_free(library);
    lp_library_free(link.host);
}

static void test_keys_differ(void)
{
    call link = {.host = lp_library_new(NULL)};
    lp_library *libraries[] = {link.host, attach_to(&link), attach_to(&link)};
    uint64_t keys[9];
    for (int i = 0; i < 9; i++) {
        keys[i] = lp_library_new_key(libraries[i % 3]);
        CHECK(keys[i] >> 63 == (i % 3 > 0));
        for (int k = 0; k < i; k++)
            CHECK(keys[k] != keys[i]);
    }
    CHECK(link.asked == 0);
    for (int i = 2; i >= 0; i--)
        lp_library_free(libraries[i]);
}

/* ---- files that are not what they should be ---- */

/* Read all of an entry, if there is one, as who trusts the library does. */
static bool is_there(call *link, uint32_t number)
{
    lp_library *library = attach_to(link);
    size_t length = 0;
    volatile uint8_t sum = 0;
    const uint8_t *bytes = lp_library_find(library, number, &length);
    for (size_t i = 0; bytes && i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    lp_library_free(library);
    return bytes != NULL;
}

static void put_word(int fd, uint64_t offset, uint64_t word)
{
    CHECK(pwrite(fd, &word, sizeof(word), (off_t)offset) == sizeof(word));
}

static uint64_t place_of(uint64_t offset, uint64_t length)
{
    return offset / 16 << 32 | length;
}

static void test_a_corrupt_index_has_no_entries(void)
{
    const uint64_t data = LP_LIBRARY_MOST_ENTRIES * sizeof(lp_library_record);
    const uint64_t chunk = 65536;
    const uint64_t wrong[] = {
        1,
        UINT32_MAX,
        UINT64_MAX,
        UINT64_MAX << 32,
        place_of(0, 16),
        place_of(data - 16, 16),
        place_of(data, chunk + 1),
        place_of(data, UINT32_MAX),
        place_of(data + chunk - 16, 17),
        place_of(data + chunk, 1),     /* not in the file */
        place_of(data + chunk * 3, 1), /* nor this */
        place_of(data + chunk * UINT16_MAX - 16, 1) /* nor the very last */,
        place_of(data + chunk * UINT16_MAX, 1),
    };
    call link = {.host = lp_library_new(NULL)};
    int reader = -1;
    char path[64];

    CHECK(keep(link.host, 1) == 1 && keep(link.host, 2) == 2);
    CHECK(lp_library_share(link.host, &reader) == LP_OK);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && is_there(&link, 1));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        put_word(fd, 0, wrong[i]);
        CHECK(!is_there(&link, 1));
        CHECK(is_there(&link, 2));
    }
    for (int bit = 0; bit < 64; bit++) {
        put_word(fd, 0, place_of(data, length_of(1)) ^ (uint64_t)1 << bit);
        (void)is_there(&link, 1); /* or not, but it has returned */
    }
    put_word(fd, 0, place_of(data, length_of(1)));
    put_word(fd, 8, 12345); /* the hash only saves questions */
    lp_library *library = attach_to(&link);
    CHECK(has(library, 1, 1) && keep(library, 1) == 1 && link.asked == 1);
    lp_library_free(library);
    close(fd);
    close(reader);
    lp_library_free(link.host);
}

static void test_attach_refuses_what_is_no_library(void)
{
    const off_t index =
        (off_t)(LP_LIBRARY_MOST_ENTRIES * sizeof(lp_library_record));
    call link = {.host = lp_library_new(NULL)};
    lp_library_link about = {ask_by_call, &link};
    lp_library *library = lp_library_new(NULL);
    size_t length;

    CHECK(lp_library_attach(library, -1, &about) == LP_SYSTEM);
    int fd = memfd_create("short", MFD_CLOEXEC);
    CHECK(ftruncate(fd, index - 1) == 0);
    CHECK(lp_library_attach(library, fd, &about) == LP_SYSTEM);
    CHECK(fcntl(fd, F_GETFD) < 0); /* taken all the same */

    /* It is still a library that can be used, and attached. */
    CHECK(lp_library_named(library, 1) == 0 && link.asked == 0);
    fd = memfd_create("index", MFD_CLOEXEC);
    CHECK(ftruncate(fd, index) == 0);
    put_word(fd, 0, place_of((uint64_t)index, 1));
    CHECK(lp_library_attach(library, fd, &about) == LP_OK);
    CHECK(!lp_library_find(library, 1, &length));
    lp_library_free(library);
    lp_library_free(link.host);
}

/* ---- too little of everything ---- */

/* Fail the first, second, third ... allocation of all that is done here. */
static void test_short_memory_loses_nothing(void)
{
    int status = LP_NOMEM;
    for (long n = 1; status != LP_OK; n++) {
        call link = {.host = lp_library_new(NULL)};
        lp_library_link about = {ask_by_call, &link};
        lp_library *library = lp_library_new(NULL);
        uint32_t number = 0;
        int fd = -1;
        uint32_t last = keep(link.host, 1);

        CHECK(n < 100);
        lp_alloc_fail_at(n);
        status = lp_library_share(link.host, &fd);
        if (status == LP_OK) status = lp_library_attach(library, fd, &about);
        bool attached = status == LP_OK;
        /* The 33rd makes the arrays grow, and the 1st is found. */
        for (uint32_t i = 1; i <= 40 && status == LP_OK; i++) {
            status =
                lp_library_keep(library, bytes_of(i), length_of(i), &number);
            if (status == LP_OK) last = number;
        }
        if (status == LP_OK) status = lp_library_name(library, 1, 1);
        lp_alloc_fail_at(0);
        CHECK(status == LP_OK || status == LP_NOMEM);

        for (uint32_t i = 1; i <= 40; i++) {
            CHECK(keep(link.host, i) == i && has(link.host, i, i));
            if (!attached) continue;
            CHECK(has(library, i, i) && keep(library, i) == i);
        }
        CHECK(last <= 40);
        if (attached) CHECK(lp_library_name(library, 1, 2) == LP_OK);
        lp_library_free(library);
        lp_library_free(link.host);
    }
}

static void limit(int resource, rlim_t most)
{
    struct rlimit now;
    CHECK(getrlimit((__rlimit_resource_t)resource, &now) == 0);
    now.rlim_cur = most < now.rlim_max ? most : now.rlim_max;
    CHECK(setrlimit((__rlimit_resource_t)resource, &now) == 0);
}

static void test_a_refusing_system_loses_nothing(void)
{
    call link = {.host = lp_library_new(NULL)};
    uint32_t number = 0;
    int fd = -1;
    struct rlimit files;

    CHECK(keep(link.host, 1) == 1);
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    limit(RLIMIT_NOFILE, 0);
    int status = lp_library_share(link.host, &fd);
    limit(RLIMIT_NOFILE, files.rlim_cur);
    CHECK(status == LP_SYSTEM);
    CHECK(keep(link.host, 2) == 2);

    /* No file may be longer than the index, so that no entry fits. */
    signal(SIGXFSZ, SIG_IGN);
    limit(RLIMIT_FSIZE, 16 << 20);
    status = lp_library_share(link.host, &fd);
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
    CHECK(status == LP_NOMEM);
    CHECK(has(link.host, 1, 1) && keep(link.host, 3) == 3);

    lp_library *library = attach_to(&link);
    const uint8_t *large = bytes_of(1000000);
    limit(RLIMIT_FSIZE, 17 << 20);
    status = lp_library_keep(library, large, LARGE, &number);
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
    CHECK(status == LP_NOMEM && number == 0);
    CHECK(keep(library, 4) == 4 && has(library, 4, 4));
    CHECK(keep(library, 1000000) == 5 && has(library, 5, 1000000));
    lp_library_free(library);
    lp_library_free(link.host);
}

/* ---- threads ---- */

#define THREADS 3
#define ITEMS   600u

static uint8_t items[ITEMS][24];

/* Keep all items, beginning somewhere, and look at each. */
static void *keeper(void *argument)
{
    lp_library *library = argument;
    uint32_t first = (uint32_t)(lp_library_new_key(library) * 97 % ITEMS);
    uintptr_t wrong = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        const uint8_t *item = items[(first + i) % ITEMS];
        uint32_t number = 0;
        size_t length = 0;
        wrong += lp_library_keep(library, item, 24, &number) != LP_OK;
        const uint8_t *bytes = lp_library_find(library, number, &length);
        wrong += !bytes || length != 24 || memcmp(bytes, item, 24) != 0;
        wrong += lp_library_name(library, i + 1, number) != LP_OK;
        wrong += lp_library_named(library, i + 1) == 0;
    }
    CHECK(wrong == 0);
    return NULL;
}

static void test_threads_use_it_at_once(void)
{
    call link = {.host = lp_library_new(NULL)};
    lp_library *library = attach_to(&link);
    lp_thread threads[THREADS];
    size_t length;

    for (uint32_t i = 0; i < ITEMS; i++)
        memcpy(items[i], &i, sizeof(i));
    for (int i = 0; i < THREADS; i++) {
        CHECK(lp_thread_start(&threads[i], keeper,
                              i == 0 ? link.host : library) == LP_OK);
    }
    for (int i = 0; i < THREADS; i++)
        lp_thread_join(&threads[i]);
    CHECK(lp_library_find(library, ITEMS, &length));
    CHECK(!lp_library_find(library, ITEMS + 1, &length));
    lp_library_free(library);
    lp_library_free(link.host);
}

/* ---- processes ---- */

#define MANY 5000u

static uint32_t numbers[MANY + 1]; /* of items, as the host gave them */
static uint32_t large[2];

static void child_that_reads(lp_library *library, line *link)
{
    for (uint32_t i = 1; i <= MANY; i++)
        CHECK(has(library, numbers[i], i));
    CHECK(has(library, large[0], 1000000));
    CHECK(has(library, large[1], 2000000));
    for (uint32_t i = 1; i <= MANY; i++)
        CHECK(keep(library, i) == numbers[i]);
    CHECK(keep(library, 1000000) == large[0]);
    CHECK(link->asked == 0);
}

static void child_that_keeps(lp_library *library, line *link)
{
    for (uint32_t i = 1; i <= MANY; i += 100)
        CHECK(keep(library, i) == numbers[i]);
    CHECK(keep(library, 1000000) == large[0]);
    CHECK(link->asked == MANY / 100 + 1);
    uint32_t next = MANY + 3;
    for (uint32_t i = MANY + 1; i < MANY + 500; i++, next++)
        CHECK(keep(library, i) == next && has(library, next, i));
    CHECK(keep(library, 3000000) == next && has(library, next, 3000000));

    link->asked = 0;
    CHECK(keep(library, MANY + 1) == MANY + 3);
    CHECK(keep(library, 3000000) == next);
    CHECK(link->asked == 0);

    CHECK(lp_library_name(library, 5, 17) == LP_OK);
    CHECK(lp_library_name(library, 5, 17) == LP_OK);
    CHECK(link->asked == 1);
    CHECK(lp_library_named(library, 5) == 17);
    CHECK(lp_library_named(library, 6) == 18); /* the host's */
    CHECK(lp_library_named(library, 7) == 0);
    CHECK(lp_library_name(library, 5, 1u << 19) == LP_INVALID);
    uint64_t key = lp_library_new_key(library);
    CHECK(key >> 63 == 1 && lp_library_named(library, key) == 0);
    CHECK(lp_library_name(library, key, 19) == LP_OK);
    CHECK(lp_library_name(library, 8, keep(library, 4000000)) == LP_OK);
}

static lp_library *new_host(void)
{
    lp_library *host = lp_library_new(NULL);
    int fd = -1;
    for (uint32_t i = 1; i <= MANY; i++) {
        numbers[i] = keep(host, i);
        if (i == MANY / 3) large[0] = keep(host, 1000000);
        if (i == MANY / 2) CHECK(lp_library_share(host, &fd) == LP_OK);
        if (i == MANY / 2) close(fd);
        if (i == MANY / 2) large[1] = keep(host, 2000000);
    }
    CHECK(lp_library_name(host, 6, 18) == LP_OK);
    return host;
}

static void test_a_child_reads_all(void)
{
    lp_library *host = new_host();
    with_child(host, child_that_reads);
    lp_library_free(host);
}

static void test_a_child_keeps_and_names(void)
{
    lp_library *host = new_host();
    with_child(host, child_that_keeps);
    CHECK(keep(host, MANY + 1) == MANY + 3);
    CHECK(has(host, MANY + 3 + 499, 3000000));
    CHECK(lp_library_named(host, 5) == 17);
    CHECK(has(host, lp_library_named(host, 8), 4000000));
    with_child(host, child_that_reads);
    lp_library_free(host);
}

static void child_with_child_that_keeps(lp_library *library, line *link)
{
    CHECK(has(library, numbers[1], 1));
    with_child(library, child_that_keeps);
    uint32_t asked = link->asked;
    CHECK(keep(library, MANY + 1) == MANY + 3 && link->asked == asked);
    with_child(library, child_that_reads);
    CHECK(keep(library, 5000000) == MANY + 3 + 499 + 2);
}

static void test_a_grandchild_asks_through_its_parent(void)
{
    lp_library *host = new_host();
    with_child(host, child_with_child_that_keeps);
    CHECK(lp_library_named(host, 5) == 17);
    CHECK(has(host, lp_library_named(host, 8), 4000000));
    CHECK(has(host, MANY + 3 + 499 + 2, 5000000));
    lp_library_free(host);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void run(const char *name, void (*test)(void))
{
    int before = failures;
    int descriptors = open_descriptors();
    size_t live = lp_alloc_live();
    tests++;
    alarm(PATIENCE_SECONDS);
    test();
    CHECK(lp_alloc_live() == live);
    CHECK(open_descriptors() == descriptors);
    printf("%s %d - library: %s\n", failures == before ? "ok" : "not ok", tests,
           name);
    fflush(stdout);
}

int main(void)
{
    run("equal bytes are kept once", test_keeps_equal_bytes_once);
    run("names mean the last number", test_names_mean_the_last_number);
    run("entries before and after sharing are shared",
        test_all_entries_are_shared);
    run("entries of all sizes fit", test_entries_of_all_sizes_fit);
    run("equal bytes are asked once", test_equal_bytes_are_asked_once);
    run("a failed question is an error", test_a_failed_question_is_an_error);
    run("nonsense is refused", test_nonsense_is_refused);
    run("keys differ", test_keys_differ);
    run("a corrupt index has no entries", test_a_corrupt_index_has_no_entries);
    run("attach refuses what is no library",
        test_attach_refuses_what_is_no_library);
    run("short memory loses nothing", test_short_memory_loses_nothing);
    run("a refusing system loses nothing",
        test_a_refusing_system_loses_nothing);
    run("threads use it at once", test_threads_use_it_at_once);
    run("a child reads all", test_a_child_reads_all);
    run("a child keeps and names", test_a_child_keeps_and_names);
    run("a grandchild asks through its parent",
        test_a_grandchild_asks_through_its_parent);
    printf("1..%d\n", tests);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
