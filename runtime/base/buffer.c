/* buffer.c - growth by doubling, or by a quarter once that is much. */
#include "base/buffer.h"

#include "base/alloc.h"
#include "base/status.h"

/* Past this size, room to spare costs more than moving pages does. */
#define LARGE ((size_t)64 << 20)

#define SMALLEST 256

void lp_buffer_init(lp_buffer *buffer, const lp_allocator *allocator)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->allocator = allocator;
}

/* Free the bytes, wherever they are. */
static void free_bytes(lp_buffer *buffer)
{
    if (buffer->place) {
        buffer->memory->drop(buffer->memory->owner, buffer->place);
    } else {
        lp_free(buffer->bytes);
    }
    buffer->place = 0;
    buffer->bytes = NULL;
    buffer->capacity = 0;
}

void lp_buffer_clear(lp_buffer *buffer)
{
    lp_handles_free(buffer->handles, buffer->handle_count);
    free_bytes(buffer);
    lp_buffer_init(buffer, buffer->allocator);
}

static void release_all(const lp_handle *handles, size_t count)
{
    for (size_t i = 0; i < count; i++)
        handles[i].kind->release(handles[i].object);
}

void lp_buffer_release(lp_buffer *buffer)
{
    size_t count = buffer->handle_count;

    buffer->handle_count = 0;
    buffer->length = 0;
    if (buffer->place) free_bytes(buffer);
    release_all(buffer->handles, count);
}

uint64_t lp_buffer_take_place(lp_buffer *buffer)
{
    uint64_t place = buffer->place;

    if (!place) return 0;
    buffer->place = 0;
    buffer->bytes = NULL;
    buffer->length = buffer->capacity = 0;
    return place;
}

/* Go on in a block of the buffer's memory. */
static int grow_in_memory(lp_buffer *buffer, size_t capacity)
{
    uint64_t place;
    void *bytes;
    size_t length = buffer->length;
    int status =
        buffer->memory->take(buffer->memory->owner, capacity, &place, &bytes);

    if (status != LP_OK) return status;
    if (length > 0) memcpy(bytes, buffer->bytes, length);
    free_bytes(buffer);
    buffer->place = place;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return LP_OK;
}

int lp_buffer_grow(lp_buffer *buffer, size_t extra)
{
    if (extra > SIZE_MAX / 2 - buffer->length) return LP_NOMEM;

    size_t needed = buffer->length + extra;
    size_t capacity = buffer->capacity;
    capacity += capacity < LARGE ? capacity : capacity / 4;
    if (capacity < needed) capacity = needed;
    if (capacity < SMALLEST) capacity = SMALLEST;

    if (buffer->memory && capacity >= buffer->memory->from)
        return grow_in_memory(buffer, capacity);

    uint8_t *bytes = lp_realloc(buffer->allocator, buffer->bytes, capacity);
    if (!bytes) return LP_NOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return LP_OK;
}

int lp_buffer_add_handle(lp_buffer *buffer, lp_handle handle)
{
    if (buffer->handle_count == buffer->handle_capacity) {
        size_t capacity = buffer->handle_capacity * 2 + 4;
        lp_handle *handles = lp_realloc(buffer->allocator, buffer->handles,
                                        capacity * sizeof(*handles));
        if (!handles) return LP_NOMEM;
        buffer->handles = handles;
        buffer->handle_capacity = capacity;
    }
    handle.kind->retain(handle.object);
    buffer->handles[buffer->handle_count++] = handle;
    return LP_OK;
}

void lp_handles_free(lp_handle *handles, size_t count)
{
    if (!handles) return;
    release_all(handles, count);
    lp_free(handles);
}
