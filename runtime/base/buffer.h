/*
 * buffer.h - bytes that grow, and the handles that travel with them.
 *
 * The encoder writes into a buffer; its owner then takes the bytes out or
 * copies them to where they will be read. One thread at a time. The buffer
 * owns its memory and one reference to each handle in it.
 */
#ifndef LP_BASE_BUFFER_H
#define LP_BASE_BUFFER_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A counted reference to an object that is shared and not copied. */
typedef struct lp_handle {
    const struct lp_handle_kind *kind;
    void *object;
} lp_handle;

struct lp_handle_kind {
    const char *name; /* such as "executor", for messages */
    void (*retain)(void *object);
    void (*release)(void *object);
    /*
     * The number by which other processes find it; NULL: it cannot go there.
     * Such an object is found by its number everywhere, and the handle only
     * keeps it.
     */
    uint64_t (*number)(void *object);
};

/*
 * Where a buffer may take large memory from, so that its bytes are written
 * where they will be read and need not be copied once more.
 */
typedef struct lp_memory {
    /* A block of at least size bytes. 0 or LP_NOMEM. */
    int (*take)(void *owner, size_t size, uint64_t *place, void **bytes);
    void (*drop)(void *owner, uint64_t place);
    void *owner;
    size_t from; /* buffers use it from this size on */
} lp_memory;

/* A sensible size from which to use such a memory. */
#define LP_BUFFER_LARGE ((size_t)64 << 10)

typedef struct lp_buffer {
    const lp_allocator *allocator; /* of the heap; NULL: malloc */
    const lp_memory *memory;       /* NULL: the heap serves for all sizes */
    uint64_t place;                /* of bytes in that memory; 0: on the heap */
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    lp_handle *handles;
    size_t handle_count;
    size_t handle_capacity;
} lp_buffer;

/* All zeroes is an empty buffer too, that takes its memory from malloc. */
void lp_buffer_init(lp_buffer *buffer, const lp_allocator *allocator);

/*
 * Free the memory and release the handles: empty, with its allocator.
 * Half-built buffers are fine.
 */
void lp_buffer_clear(lp_buffer *buffer);

/* Drop what is in it, handles released, and keep the memory for the next. */
static inline void lp_buffer_reset(lp_buffer *buffer);

/* Its other half: for a buffer with a block of a memory, or with handles. */
void lp_buffer_release(lp_buffer *buffer);

/* Make room for extra more bytes. 0 or LP_NOMEM, which changes nothing. */
int lp_buffer_grow(lp_buffer *buffer, size_t extra);

/*
 * Give away the bytes, which are in the buffer's memory, and be empty; 0 if
 * they are on the heap, and nothing has happened.
 */
uint64_t lp_buffer_take_place(lp_buffer *buffer);

/* Append a handle, retained. 0 or LP_NOMEM. */
int lp_buffer_add_handle(lp_buffer *buffer, lp_handle handle);

/* Release count handles and free the array; NULL is allowed. */
void lp_handles_free(lp_handle *handles, size_t count);

static inline void lp_buffer_reset(lp_buffer *buffer)
{
    buffer->length = 0;
    if (buffer->place || buffer->handle_count > 0) lp_buffer_release(buffer);
}

static inline int lp_buffer_reserve(lp_buffer *buffer, size_t extra)
{
    if (buffer->capacity - buffer->length >= extra) return 0;
    return lp_buffer_grow(buffer, extra);
}

static inline int lp_buffer_append(lp_buffer *buffer, const void *bytes,
                                   size_t length)
{
    int status = lp_buffer_reserve(buffer, length);
    if (status != 0) return status;
    if (length > 0) memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return 0;
}

#endif
