/* buffer.c - growth by doubling, or by a quarter once that is much. */
#include "base/buffer.h"

#include "base/alloc.h"
#include "base/status.h"

/* Past this size, room to spare costs more than moving pages does. */
#define LARGE ((size_t)64 << 20)

#define SMALLEST 256

void lp_buffer_init(lp_buffer *buffer)
{
    memset(buffer, 0, sizeof(*buffer));
}

void lp_buffer_clear(lp_buffer *buffer)
{
    lp_handles_free(buffer->handles, buffer->handle_count);
    lp_free(buffer->bytes);
    lp_buffer_init(buffer);
}

static void release_all(const lp_handle *handles, size_t count)
{
    for (size_t i = 0; i < count; i++)
        handles[i].kind->release(handles[i].object);
}

void lp_buffer_reset(lp_buffer *buffer)
{
    size_t count = buffer->handle_count;

    buffer->handle_count = 0;
    buffer->length = 0;
    release_all(buffer->handles, count);
}

int lp_buffer_grow(lp_buffer *buffer, size_t extra)
{
    if (extra > SIZE_MAX / 2 - buffer->length) return LP_NOMEM;

    size_t needed = buffer->length + extra;
    size_t capacity = buffer->capacity;
    capacity += capacity < LARGE ? capacity : capacity / 4;
    if (capacity < needed) capacity = needed;
    if (capacity < SMALLEST) capacity = SMALLEST;

    uint8_t *bytes = lp_realloc(buffer->bytes, capacity);
    if (!bytes) return LP_NOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return LP_OK;
}

int lp_buffer_add_handle(lp_buffer *buffer, lp_handle handle)
{
    if (buffer->handle_count == buffer->handle_capacity) {
        size_t capacity = buffer->handle_capacity * 2 + 4;
        lp_handle *handles =
            lp_realloc(buffer->handles, capacity * sizeof(*handles));
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
