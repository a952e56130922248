/*
 * library_remote.c - entries read from the host's file, questions for the
 * rest.
 *
 * A question costs a journey to the host and back, so this remembers which
 * bytes have which number: those that it asked for, and those that it found
 * and may soon send back. Nothing depends on that memory; if there is no
 * room for it, the host is asked again, and answers the same.
 *
 * The lock is not held while asking. Two threads may then ask for the same
 * at once, and get the same answer.
 */
#include "base/library_remote.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/library_file.h"
#include "base/lock.h"
#include "base/status.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* No key of the host has this bit; a host counts from 1. */
#define REMOTE_KEY ((uint64_t)1 << 63)

#define REMEMBERED_NAMES 64u

typedef struct known {
    uint64_t hash;
    uint32_t number; /* 0: the place is free */
} known;

typedef struct said {
    uint64_t key; /* 0: nothing */
    uint32_t number;
} said;

struct lp_library_remote {
    const lp_allocator *allocator;
    lp_library_link link; /* immutable */
    lp_lock lock;         /* guards everything below */
    lp_library_file file; /* but for its descriptor, which is immutable */
    uint64_t last_key;

    known *known; /* open addressing by hash, at most half full */
    size_t known_count;
    size_t known_capacity; /* a power of two, or 0 */

    said names[REMEMBERED_NAMES]; /* by hash of the key, the latest stays */
};

/* Where to count keys from, as no other process does. */
static uint64_t random_key(void)
{
    uint64_t key;
    if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != (ssize_t)sizeof(key)) {
        key = lp_hash_word((uint64_t)lp_clock_now()) ^
              lp_hash_word((uint64_t)getpid());
    }
    return key | REMOTE_KEY;
}

int lp_library_remote_new(int fd, const lp_library_link *link,
                          const lp_allocator *allocator,
                          lp_library_remote **out)
{
    lp_library_remote *remote = lp_calloc(allocator, 1, sizeof(*remote));
    if (!remote) {
        close(fd);
        return LP_NOMEM;
    }
    int status = lp_library_file_open(&remote->file, fd);
    if (status != LP_OK) {
        lp_free(remote);
        return status;
    }
    lp_lock_init(&remote->lock, LP_RANK_LIBRARY);
    remote->link = *link;
    remote->allocator = allocator;
    remote->last_key = random_key();
    *out = remote;
    return LP_OK;
}

void lp_library_remote_free(lp_library_remote *remote)
{
    if (!remote) return;
    lp_library_file_clear(&remote->file);
    lp_free(remote->known);
    lp_free(remote);
}

int lp_library_remote_share(const lp_library_remote *remote, int *fd)
{
    *fd = fcntl(remote->file.shm.fd, F_DUPFD_CLOEXEC, 0);
    return *fd < 0 ? LP_SYSTEM : LP_OK;
}

/* The number of equal bytes that were met before; 0 if none. */
static uint32_t recall_locked(lp_library_remote *remote, uint64_t hash,
                              const void *bytes, size_t length)
    LP_HOLDS(&remote->lock)
{
    size_t mask = remote->known_capacity - 1;

    if (remote->known_capacity == 0) return 0;
    for (size_t at = (size_t)hash & mask; remote->known[at].number != 0;
         at = (at + 1) & mask) {
        if (remote->known[at].hash != hash) continue;
        uint32_t number = remote->known[at].number;
        size_t size;
        uint64_t ignored; /* it is the one in known */
        const uint8_t *entry =
            lp_library_file_find(&remote->file, number, &size, &ignored);
        if (entry && size == length &&
            (length == 0 || memcmp(entry, bytes, length) == 0))
            return number;
    }
    return 0;
}

/* Put what is known in its place, unless it is there. Whether it was not. */
static bool insert(known *table, size_t capacity, known item)
{
    size_t at = (size_t)item.hash & (capacity - 1);

    for (; table[at].number != 0; at = (at + 1) & (capacity - 1)) {
        if (table[at].number == item.number && table[at].hash == item.hash)
            return false;
    }
    table[at] = item;
    return true;
}

static void remember_locked(lp_library_remote *remote, known item)
    LP_HOLDS(&remote->lock)
{
    if (remote->known_count >= remote->known_capacity / 2) {
        size_t capacity =
            remote->known_capacity ? remote->known_capacity * 2 : 64;
        known *table = lp_calloc(remote->allocator, capacity, sizeof(*table));
        if (!table) return;
        for (size_t i = 0; i < remote->known_capacity; i++) {
            if (remote->known[i].number != 0)
                (void)insert(table, capacity, remote->known[i]); /* it is new */
        }
        lp_free(remote->known);
        remote->known = table;
        remote->known_capacity = capacity;
    }
    if (insert(remote->known, remote->known_capacity, item))
        remote->known_count++;
}

static int ask(const lp_library_remote *remote,
               const lp_library_question *question, const void *bytes,
               size_t length, uint32_t *number)
{
    lp_library_answer answer = {LP_CORRUPT, 0};
    int status = remote->link.ask(remote->link.context, question, bytes, length,
                                  &answer);
    if (status != LP_OK) return status;
    if (answer.status > 0) return LP_CORRUPT;
    *number = answer.number;
    return answer.status;
}

int lp_library_remote_keep(lp_library_remote *remote, const void *bytes,
                           size_t length, uint32_t *number)
{
    uint64_t hash = lp_hash_bytes(bytes, length);

    lp_lock_enter(&remote->lock);
    uint32_t found = recall_locked(remote, hash, bytes, length);
    lp_lock_leave(&remote->lock);
    if (found == 0) {
        lp_library_question question = {.verb = LP_LIBRARY_KEEP};
        int status = ask(remote, &question, bytes, length, &found);
        if (status != LP_OK) return status;
        if (found == 0) return LP_CORRUPT;
        lp_lock_enter(&remote->lock);
        remember_locked(remote, (known){hash, found});
        lp_lock_leave(&remote->lock);
    }
    *number = found;
    return LP_OK;
}

const uint8_t *lp_library_remote_find(lp_library_remote *remote,
                                      uint32_t number, size_t *length)
{
    uint64_t hash;

    lp_lock_enter(&remote->lock);
    const uint8_t *bytes =
        lp_library_file_find(&remote->file, number, length, &hash);
    if (bytes) remember_locked(remote, (known){hash, number});
    lp_lock_leave(&remote->lock);
    return bytes;
}

/*
 * A state says the same names with each parcel, hence the last ones are not
 * said again. If another process gave a key a new meaning meanwhile, that
 * one stays: it is as good, as both describe the same class.
 */
int lp_library_remote_name(lp_library_remote *remote, uint64_t key,
                           uint32_t number)
{
    lp_library_question question = {LP_LIBRARY_NAME, number, key};
    said *last = &remote->names[lp_hash_word(key) % REMEMBERED_NAMES];
    uint32_t ignored;

    lp_lock_enter(&remote->lock);
    bool again = last->key == key && last->number == number;
    lp_lock_leave(&remote->lock);
    if (again) return LP_OK;

    int status = ask(remote, &question, NULL, 0, &ignored);
    if (status != LP_OK) return status;
    lp_lock_enter(&remote->lock);
    *last = (said){key, number};
    lp_lock_leave(&remote->lock);
    return LP_OK;
}

/* Always asks: a key may have got a new meaning elsewhere. */
uint32_t lp_library_remote_named(lp_library_remote *remote, uint64_t key)
{
    lp_library_question question = {.verb = LP_LIBRARY_NAMED, .key = key};
    uint32_t number = 0;

    if (ask(remote, &question, NULL, 0, &number) != LP_OK) return 0;
    return number;
}

uint64_t lp_library_remote_new_key(lp_library_remote *remote)
{
    lp_lock_enter(&remote->lock);
    uint64_t key = ++remote->last_key | REMOTE_KEY;
    lp_lock_leave(&remote->lock);
    return key;
}
