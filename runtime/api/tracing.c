/* tracing.c - the trace of a host, as a file. */
#include "api/api.h"
#include "base/clock.h"
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int put(void *context, const char *events, size_t length)
{
    lpool *pool = context;
    /* A process that was forked must not write over what comes from here. */
    if (getpid() != pool->trace_pid) return LP_OK;
    return lp_json_file_append(&pool->trace_file, events, length);
}

static void failed(void *context, int error)
{
    const lpool *pool = context;
    char line[512], buffer[128];
    snprintf(line, sizeof(line), "cannot write trace file '%.300s': %s",
             pool->trace_path, strerror_r(error, buffer, sizeof(buffer)));
    lp_pool_log(pool, line);
}

/* Make the trace; errno is of the file, if that is why it failed. */
static int open_trace(lpool *pool, const char *path)
{
    const lp_trace_sink sink = {put, failed, pool};
    pool->trace_path = lp_alloc_text(&pool->allocator, path);
    if (!pool->trace_path) return LP_NOMEM;
    pool->trace_pid = getpid();
    int status = lp_json_file_open(&pool->trace_file, path);
    if (status != LP_OK) return status;
    pool->host.trace = lp_trace_new(&pool->allocator, &sink, lp_clock_now());
    if (pool->host.trace) return LP_OK;
    lp_json_file_close(&pool->trace_file);
    return LP_NOMEM;
}

int lpool_trace_open(lpool *pool, const char *path)
{
    if (!pool || !path) return LP_INVALID;
    lp_lock_enter(&pool->lock);
    int status = pool->host.trace ? LP_INVALID : open_trace(pool, path);
    if (status != LP_OK && status != LP_INVALID) {
        int error = errno;
        lp_free(pool->trace_path);
        pool->trace_path = NULL;
        errno = error;
    }
    lp_lock_leave(&pool->lock);
    if (status != LP_OK) return status;
    lp_trace_name_process(pool->host.trace, (int32_t)getpid(),
                          program_invocation_short_name);
    return LP_OK;
}

void lpool_trace_close(lpool *pool)
{
    if (!pool) return;
    lp_trace_close(pool->host.trace);
    lp_lock_enter(&pool->lock);
    /* In a worker's process the trace has no file. */
    if (pool->trace_path) lp_json_file_close(&pool->trace_file);
    lp_lock_leave(&pool->lock);
}

void lp_pool_free_trace(lpool *pool)
{
    lpool_trace_close(pool);
    lp_trace_free(pool->host.trace);
    pool->host.trace = NULL;
    lp_free(pool->trace_path);
}
