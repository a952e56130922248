/*
 * shm.h - memory files: memory that other processes can map too.
 *
 * A file has one maker, who extends it, and readers in other processes, who
 * open it by a descriptor, for writing or not. It only ever grows, so that
 * what was mapped once stays valid, whatever a process that may write to it
 * does. Its first bytes are mapped from the beginning; further ranges are
 * mapped as they are needed. No range is at the same address everywhere, so
 * what lies in such a file refers by offsets.
 */
#ifndef LP_BASE_SHM_H
#define LP_BASE_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lp_shm {
    int fd; /* owned; -1 if there is no file */
    bool writable;
    uint8_t *base; /* the first base_size bytes */
    size_t base_size;
    /* The maker's: bytes in use, and bytes that the file has. */
    uint64_t end;
    uint64_t size;
} lp_shm;

/* No file. All zeroes is something else. */
void lp_shm_init(lp_shm *shm);

/*
 * Make a file whose first base_size bytes are in use and mapped; the name is
 * for people. 0, LP_NOMEM or LP_SYSTEM.
 */
int lp_shm_create(lp_shm *shm, const char *name, size_t base_size);

/* Use the file behind fd, which is taken, whatever comes of it. The same. */
int lp_shm_open(lp_shm *shm, int fd, size_t base_size, bool writable);

/* Close the file: what is mapped stays, and nothing can be mapped any more. */
void lp_shm_close(lp_shm *shm);

/* Unmap the first bytes and close; ranges stay mapped. */
void lp_shm_clear(lp_shm *shm);

/*
 * A descriptor of the same file that can only be read, given to the caller;
 * negative if the system refuses.
 */
int lp_shm_reader(const lp_shm *shm);

/* Have size more bytes, at a multiple of the page size. Maker only. */
int lp_shm_extend(lp_shm *shm, size_t size, uint64_t *offset);

/*
 * Where a range is, mapped now unless it lies in the first bytes. NULL if
 * the file does not have it all, or no memory. Offsets need no alignment.
 */
void *lp_shm_map(const lp_shm *shm, uint64_t offset, size_t size);

/* Undo lp_shm_map. */
void lp_shm_unmap(const lp_shm *shm, void *memory, size_t size);

/*
 * Give the pages of a range back to the system; they read as zeroes then.
 * False if it refuses: all is as it was.
 */
bool lp_shm_punch(const lp_shm *shm, uint64_t offset, size_t size);

#endif
