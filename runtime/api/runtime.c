/* runtime.c - opening and closing a host. */
#include "api/api.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static_assert(LPOOL_ENOMEM == LP_NOMEM && LPOOL_ECLOSED == LP_CLOSED &&
                  LPOOL_EBROKEN == LP_BROKEN && LPOOL_ETIMEOUT == LP_TIMEOUT &&
                  LPOOL_EUNSENDABLE == LP_UNSENDABLE &&
                  LPOOL_ECORRUPT == LP_CORRUPT &&
                  LPOOL_EINVALID == LP_INVALID && LPOOL_ESYSTEM == LP_SYSTEM &&
                  LPOOL_EFAILED == LP_FAILED && LPOOL_EDEEP == LP_DEEP &&
                  LPOOL_ENOHELPER == LP_NOHELPER &&
                  LPOOL_EVERSION == LP_VERSION && LPOOL_ETHREAD == LP_THREAD &&
                  LPOOL_EFULL == LP_FULL && LPOOL_ECROWDED == LP_CROWDED &&
                  LPOOL_EDEADLOCK == LP_DEADLOCK &&
                  LPOOL_MAX_PRIORITIES == LP_LEVELS,
              "public and inner codes agree");

const char *lpool_strerror(int status)
{
    return lp_status_text(status);
}

static void log_to_stderr(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "lpool: %s\n", line);
}

void lpool_config_init(lpool_config *config)
{
    if (config) *config = (lpool_config){.size = sizeof(*config)};
}

int lpool_open(const lpool_config *config, lpool **out)
{
    if (!config || !out) return LP_INVALID;
    if (config->size != sizeof(*config)) return LP_VERSION;
    const lp_allocator allocator = {config->allocate, config->context};
    lpool *pool = lp_calloc(&allocator, 1, sizeof(*pool));
    if (!pool) return LP_NOMEM;
    pool->allocator = allocator;
    lp_alloc_rebind(pool, &pool->allocator);
    int status = lp_host_init(&pool->host, &pool->allocator);
    if (status != LP_OK) {
        lp_free(pool);
        return status;
    }
    pool->host.objects = lp_objects_new(&pool->allocator);
    if (!pool->host.objects) {
        lp_host_clear(&pool->host);
        lp_free(pool);
        return LP_NOMEM;
    }
    lp_lock_init(&pool->lock, LP_RANK_POOL);
    pool->config = *config;
    if (!pool->config.log) pool->config.log = log_to_stderr;
    pool->caller_codec = (lp_codec_config){
        .allocator = &pool->allocator,
        .library = pool->host.library,
        .check_handle = lp_handle_check,
        .explain_handle = lp_handle_explain,
        .push_handle = lp_handle_push,
        .lend_string = lp_handle_lend,
        .push_shared = lp_object_push_found,
    };
    pool->worker_codec = pool->caller_codec;
    pool->worker_codec.worker = true;
    /* Without entropy the clock has to do: the seeds need only differ. */
    if (getrandom(&pool->seed, sizeof(pool->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(pool->seed))
        pool->seed = (uint64_t)lp_clock_now();
    *out = pool;
    return LP_OK;
}

/* Close an executor, and note whether its threads are still at work. */
static void close_executor(lp_executor *executor, void *busy)
{
    lp_executor_close(executor, false);
    if (!lp_executor_is_serial(executor) && !lp_executor_has_ended(executor))
        *(bool *)busy = true;
}

static void note_abandoned(lp_executor *executor, void *stuck)
{
    if (lp_executor_has_abandoned(executor)) *(bool *)stuck = true;
}

int lpool_close(lpool *pool)
{
    if (!pool) return LP_OK;
    if (atomic_load(&pool->attached) > 0) return LP_INVALID;
    lp_host *host = &pool->host;
    lp_executor_release(pool->manual);
    for (;;) {
        uint32_t heard = lp_bell_listen(host->bell);
        bool busy = false;
        lp_host_each(host, close_executor, &busy);
        lp_host_collect(host, NULL, NULL);
        lp_host_reap(host);
        if (!busy) break;
        (void)lp_bell_sleep(host->bell, heard, LP_NEVER);
    }
    lp_notifier_free(pool->notifier);
    lp_host_stop(host);
    /* A thread that is stuck may come back, and use all this. */
    bool stuck = false;
    lp_host_each(host, note_abandoned, &stuck);
    if (stuck) {
        lpool_trace_close(pool);
        return LP_OK;
    }
    /* References are left if finalizers made objects while a state closed. */
    lp_host_free_executors(host);
    lp_pool_free_trace(pool);
    lp_objects_free(host->objects);
    lp_host_clear(host);
    lp_nursery_free(pool->nursery);
    lp_free(pool->helper);
    lp_free(pool);
    return LP_OK;
}

void *lpool_context(const lpool *pool)
{
    return pool ? pool->config.context : NULL;
}

int64_t lpool_now(void)
{
    return lp_clock_now();
}

int lpool_cpu_count(void)
{
    return lp_thread_processors();
}

/* Futures without a worker have an executor too, which never runs. */
static int start_nothing(void *self, uint32_t number)
{
    (void)self;
    (void)number;
    return LP_INVALID;
}

static void do_nothing(void *self)
{
    (void)self;
}

static const lp_executor_kind manual_kind = {
    .start = start_nothing, .join = do_nothing, .free = do_nothing};

lp_executor *lp_pool_manual(lpool *pool)
{
    lp_lock_enter(&pool->lock);
    if (!pool->manual) {
        lp_executor_config config = {
            .host = &pool->host,
            .kind = &manual_kind,
            .self = pool,
            .max_workers = 1,
        };
        lp_executor *executor = NULL;
        (void)lp_executor_open(&config, &executor);
        pool->manual = executor;
    }
    lp_executor *manual = pool->manual;
    lp_lock_leave(&pool->lock);
    return manual;
}
