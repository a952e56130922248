/*
 * library_file.c - an index, and chunks that double in size.
 *
 *   | index: a record per number | 64 KiB | 128 KiB | 256 KiB | ...
 *
 * Where everything is follows from this picture, so that nothing in the file
 * has to be believed but the records. The file is sparse: what nobody wrote
 * costs addresses, not memory. That is why the index has its full length at
 * once, and why an entry too long for the rest of a chunk just goes to the
 * next one that holds it. An entry never crosses chunks, thus each chunk is
 * mapped once, as a whole, when first needed.
 *
 * A chunk is less than twice as long as all entries in it and before it
 * together, or it would not have been begun. So chunks for twice the bytes
 * that a library may hold, and padding, are enough.
 */
#include "base/library_file.h"

#include "base/status.h"

#include <string.h>

#define INDEX_SIZE  (LP_LIBRARY_MOST_ENTRIES * sizeof(lp_library_record))
#define FIRST_CHUNK ((uint64_t)1 << 16)
#define ALIGNMENT   16u

static uint64_t size_of_chunk(unsigned chunk)
{
    return FIRST_CHUNK << chunk;
}

static uint64_t start_of_chunk(unsigned chunk)
{
    return INDEX_SIZE + size_of_chunk(chunk) - FIRST_CHUNK;
}

/* The chunk around an offset behind the index, which may be one too many. */
static unsigned chunk_around(uint64_t offset)
{
    unsigned chunk = 0;
    while (chunk < LP_LIBRARY_CHUNKS && offset >= start_of_chunk(chunk + 1))
        chunk++;
    return chunk;
}

/* Where a chunk is mapped; NULL if the file ends before, or no memory. */
static uint8_t *map_chunk(lp_library_file *file, unsigned chunk)
{
    if (!file->chunks[chunk]) {
        file->chunks[chunk] = lp_shm_map(&file->shm, start_of_chunk(chunk),
                                         (size_t)size_of_chunk(chunk));
    }
    return file->chunks[chunk];
}

static lp_library_record *record_of(const lp_library_file *file,
                                    uint32_t number)
{
    return (lp_library_record *)(void *)file->shm.base + number - 1;
}

void lp_library_file_init(lp_library_file *file)
{
    *file = (lp_library_file){.used = INDEX_SIZE};
    lp_shm_init(&file->shm);
}

int lp_library_file_create(lp_library_file *file)
{
    lp_library_file_init(file);
    return lp_shm_create(&file->shm, "lpool-library", INDEX_SIZE);
}

int lp_library_file_open(lp_library_file *file, int fd)
{
    lp_library_file_init(file);
    return lp_shm_open(&file->shm, fd, INDEX_SIZE, false);
}

void lp_library_file_clear(lp_library_file *file)
{
    for (unsigned i = 0; i < LP_LIBRARY_CHUNKS; i++) {
        lp_shm_unmap(&file->shm, file->chunks[i], (size_t)size_of_chunk(i));
    }
    lp_shm_clear(&file->shm);
    lp_library_file_init(file);
}

int lp_library_file_put(lp_library_file *file, uint32_t number,
                        const void *bytes, size_t length, uint64_t hash,
                        uint8_t **entry)
{
    /* An empty entry has a place too, and that place is in a chunk. */
    size_t room = length > 0 ? length : 1;
    uint64_t offset = (file->used + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
    unsigned chunk = chunk_around(offset);

    if (number - 1 >= LP_LIBRARY_MOST_ENTRIES || length > LP_LIBRARY_MOST_BYTES)
        return LP_INVALID;
    while (room > start_of_chunk(chunk + 1) - offset)
        offset = start_of_chunk(++chunk);
    if (chunk >= LP_LIBRARY_CHUNKS) return LP_INVALID;

    uint64_t end = start_of_chunk(chunk + 1);
    uint64_t ignored; /* the picture above says where the new bytes are */
    if (file->shm.end < end) {
        size_t missing = (size_t)(end - file->shm.end);
        int status = lp_shm_extend(&file->shm, missing, &ignored);
        if (status != LP_OK) return status;
    }
    uint8_t *memory = map_chunk(file, chunk);
    if (!memory) return LP_NOMEM;
    memory += offset - start_of_chunk(chunk);
    if (length > 0) memcpy(memory, bytes, length);
    file->used = offset + room;
    *entry = memory;

    lp_library_record *record = record_of(file, number);
    record->hash = hash;
    /* release; pairs with the acquire in lp_library_file_find */
    atomic_store_explicit(&record->place, offset / ALIGNMENT << 32 | length,
                          memory_order_release);
    return LP_OK;
}

const uint8_t *lp_library_file_find(lp_library_file *file, uint32_t number,
                                    size_t *length, uint64_t *hash)
{
    if (number == 0 || number > LP_LIBRARY_MOST_ENTRIES) return NULL;
    lp_library_record *record = record_of(file, number);
    /* acquire; pairs with the release in lp_library_file_put */
    uint64_t place = atomic_load_explicit(&record->place, memory_order_acquire);
    uint64_t offset = (place >> 32) * ALIGNMENT;
    size_t size = (size_t)(place & UINT32_MAX);

    if (offset < INDEX_SIZE) return NULL;
    unsigned chunk = chunk_around(offset);
    if (chunk >= LP_LIBRARY_CHUNKS || size > start_of_chunk(chunk + 1) - offset)
        return NULL;
    const uint8_t *memory = map_chunk(file, chunk);
    if (!memory) return NULL;
    *length = size;
    *hash = record->hash;
    return memory + (offset - start_of_chunk(chunk));
}
