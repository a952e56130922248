/*
 * shm.c - memory files of Linux, sealed against shrinking.
 *
 * The seal is what makes a mapping safe: a process with a writable
 * descriptor could otherwise cut the file, and whoever reads there is killed.
 */
#include "base/shm.h"

#include "base/status.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The leak sanitizer looks for pointers in what it knows: a file of ours may
 * have some, which mean nothing to other processes.
 */
#ifdef __SANITIZE_ADDRESS__
#    include <sanitizer/lsan_interface.h>
#    define note_map(memory, size)   __lsan_register_root_region(memory, size)
#    define note_unmap(memory, size) __lsan_unregister_root_region(memory, size)
#else
#    define note_map(memory, size)   ((void)(memory), (void)(size))
#    define note_unmap(memory, size) ((void)(memory), (void)(size))
#endif

static uint64_t page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t round_up(uint64_t size)
{
    return (size + page_size() - 1) & ~(page_size() - 1);
}

void lp_shm_init(lp_shm *shm)
{
    *shm = (lp_shm){.fd = -1};
}

static int map_base(lp_shm *shm, size_t base_size)
{
    int protection = PROT_READ | (shm->writable ? PROT_WRITE : 0);
    void *base = mmap(NULL, base_size, protection, MAP_SHARED, shm->fd, 0);
    if (base == MAP_FAILED) return LP_NOMEM;
    note_map(base, base_size);
    shm->base = base;
    shm->base_size = base_size;
    return LP_OK;
}

int lp_shm_create(lp_shm *shm, const char *name, size_t base_size)
{
    lp_shm_init(shm);
    shm->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (shm->fd < 0) return LP_SYSTEM;
    shm->writable = true;
    shm->end = shm->size = round_up(base_size);
    int status = LP_SYSTEM;
    if (ftruncate(shm->fd, (off_t)shm->end) == 0 &&
        fcntl(shm->fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
        status = map_base(shm, (size_t)shm->end);
    if (status != LP_OK) lp_shm_clear(shm);
    return status;
}

int lp_shm_open(lp_shm *shm, int fd, size_t base_size, bool writable)
{
    lp_shm_init(shm);
    shm->fd = fd;
    shm->writable = writable;
    struct stat about;
    int status = LP_SYSTEM;
    uint64_t size = round_up(base_size);
    if (fstat(fd, &about) == 0) shm->end = shm->size = (uint64_t)about.st_size;
    if (shm->size >= size) status = map_base(shm, (size_t)size);
    if (status != LP_OK) lp_shm_clear(shm);
    return status;
}

void lp_shm_close(lp_shm *shm)
{
    if (shm->fd >= 0) close(shm->fd);
    shm->fd = -1;
}

void lp_shm_clear(lp_shm *shm)
{
    if (shm->base) {
        note_unmap(shm->base, shm->base_size);
        munmap(shm->base, shm->base_size);
    }
    lp_shm_close(shm);
    lp_shm_init(shm);
}

int lp_shm_reader(const lp_shm *shm)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", shm->fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int lp_shm_extend(lp_shm *shm, size_t size, uint64_t *offset)
{
    uint64_t end = shm->end + round_up(size);
    if (end < shm->end || end > INT64_MAX) return LP_NOMEM;
    if (end > shm->size) {
        if (ftruncate(shm->fd, (off_t)end) != 0) return LP_NOMEM;
        shm->size = end;
    }
    *offset = shm->end;
    shm->end = end;
    return LP_OK;
}

static bool has_range(const lp_shm *shm, uint64_t offset, size_t size)
{
    struct stat about;
    if (fstat(shm->fd, &about) != 0) return false;
    uint64_t length = (uint64_t)about.st_size;
    return offset <= length && size <= length - offset;
}

void *lp_shm_map(const lp_shm *shm, uint64_t offset, size_t size)
{
    if (offset < shm->base_size && size <= shm->base_size - offset)
        return shm->base + offset;
    if (!has_range(shm, offset, size)) return NULL;
    uint64_t slack = offset & (page_size() - 1);
    int protection = PROT_READ | (shm->writable ? PROT_WRITE : 0);
    void *memory = mmap(NULL, size + (size_t)slack, protection, MAP_SHARED,
                        shm->fd, (off_t)(offset - slack));
    if (memory == MAP_FAILED) return NULL;
    note_map(memory, size + (size_t)slack);
    return (uint8_t *)memory + slack;
}

void lp_shm_unmap(const lp_shm *shm, void *memory, size_t size)
{
    uint8_t *first = memory;
    if (!memory) return;
    if (shm->base && first >= shm->base && first < shm->base + shm->base_size)
        return;
    uintptr_t slack = (uintptr_t)first & (uintptr_t)(page_size() - 1);
    note_unmap(first - slack, size + slack);
    munmap(first - slack, size + slack);
}

bool lp_shm_punch(const lp_shm *shm, uint64_t offset, size_t size)
{
    return fallocate(shm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)offset, (off_t)size) == 0;
}
