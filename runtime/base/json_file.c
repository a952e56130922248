/*
 * json_file.c - elements are written over the end of the array, and the end
 * behind them, by one call of the system. A file that cannot do that, such as
 * a pipe, cannot be opened.
 */
#include "base/json_file.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

static char array_end[] = "\n]\n";

#define END_LENGTH (sizeof(array_end) - 1)

/* Write elements, and the array's end behind them, at file->end. */
static int write_elements(lp_json_file *file, const char *elements,
                          size_t length)
{
    struct iovec parts[] = {
        {(char *)elements, length}, /* it is only read */
        {array_end, END_LENGTH},
    };
    ssize_t written;
    do {
        written = pwritev(file->fd, parts, 2, file->end);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)(length + END_LENGTH)) return LP_OK;
    /* There was room for a part of it: the next byte would say why. */
    if (written >= 0) errno = ENOSPC;
    return LP_SYSTEM;
}

int lp_json_file_open(lp_json_file *file, const char *path)
{
    *file = (lp_json_file){.empty = true};
    /* Not to wait for whoever reads a fifo. */
    file->fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    if (file->fd < 0) return LP_SYSTEM;
    if (write_elements(file, "[", 1) == LP_OK) {
        file->end = 1;
        return LP_OK;
    }
    int error = errno;
    lp_json_file_close(file);
    errno = error;
    return LP_SYSTEM;
}

int lp_json_file_append(lp_json_file *file, const char *elements, size_t length)
{
    if (length == 0) return LP_OK;
    if (file->empty) elements++, length--;
    if (write_elements(file, elements, length) == LP_OK) {
        file->end += (int64_t)length;
        file->empty = false;
        return LP_OK;
    }
    int error = errno;
    /* The end that was there before took the same room. */
    if (ftruncate(file->fd, file->end) == 0)
        (void)write_elements(file, NULL, 0);
    errno = error;
    return LP_SYSTEM;
}

void lp_json_file_close(lp_json_file *file)
{
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
}
