/* dump.c - statistics, and the text that says what workers are doing. */
#include "core/overview.h"

#include "api/api.h"
#include "base/alloc.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* So many of those that come next are listed. */
#define NEXT_TASKS 5u

static void fill_times(lpool_times *times, const lp_sum *sum)
{
    times->p50 = lp_sum_percentile(sum, 50);
    times->p90 = lp_sum_percentile(sum, 90);
    times->p99 = lp_sum_percentile(sum, 99);
    times->longest = sum->longest;
}

static void fill_stats(const lp_overview *overview, lpool_stats *stats)
{
    const lp_counts *counts = &overview->counts;
    *stats = (lpool_stats){
        .size = sizeof(*stats),
        .submitted = counts->submitted,
        .pending = counts->pending,
        .running = counts->running,
        .completed = counts->completed,
        .failed = counts->failed,
        .cancelled = counts->cancelled,
        .lost = counts->lost,
        .workers = overview->workers,
        .idle = overview->idle,
        .max_workers = overview->max_workers,
    };
    fill_times(&stats->run, &counts->runs);
    fill_times(&stats->wait, &counts->waits);
}

int lpool_executor_stats(lpool_executor *executor, lpool_stats *stats)
{
    lp_overview overview;
    if (!executor || !stats) return LP_INVALID;
    if (stats->size != sizeof(*stats)) return LP_VERSION;
    lp_executor_overview(lp_executor_inner(executor), &overview);
    fill_stats(&overview, stats);
    return LP_OK;
}

int lpool_host_stats(lpool *host, lpool_stats *stats)
{
    lp_overview overview;
    if (!host || !stats) return LP_INVALID;
    if (stats->size != sizeof(*stats)) return LP_VERSION;
    lp_host_overview(&host->host, &overview);
    fill_stats(&overview, stats);
    return LP_OK;
}

void lpool_executor_describe(lpool_executor *executor, char *out, size_t size)
{
    static const char *const names[] = {
        [LPOOL_THREADS] = "ThreadPoolExecutor",
        [LPOOL_SERIAL] = "SerialExecutor",
        [LPOOL_PROCESSES] = "ProcessPoolExecutor",
    };
    if (!out || size == 0) return;
    *out = '\0';
    if (!executor) return;
    int status = lpool_executor_check(executor);
    snprintf(out, size, "<%s %s max_workers=%u>",
             names[lpool_executor_kind(executor)],
             status == LP_OK       ? "open"
             : status == LP_BROKEN ? "broken"
                                   : "shut down",
             lpool_executor_max_workers(executor));
}

/* ---- the text ---- */

typedef struct text {
    lp_buffer *bytes;
    int status;
} text;

/* Append; the first failure stays. */
static void put(text *out, const char *bytes, size_t length)
{
    if (out->status == LP_OK)
        out->status = lp_buffer_append(out->bytes, bytes, length);
}

/* The same for what fits into a line: texts of any length are put. */
__attribute__((format(printf, 2, 3))) static void add(text *out,
                                                      const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length < 0) return;
    put(out, line,
        (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

/* A text of several lines, moved to the right. */
static void add_lines(text *out, const char *lines, const char *indent)
{
    while (*lines) {
        size_t length = strcspn(lines, "\n");
        add(out, "%s", indent);
        put(out, lines, length);
        put(out, "\n", 1);
        lines += length;
        if (*lines == '\n') lines++;
    }
}

/* The items of a map that a worker has claimed. */
static void add_items(text *out, const lp_worker_view *worker)
{
    unsigned long long first = worker->first_item;
    unsigned long long last = first + worker->items - 1;
    if (worker->items == 0) {
        add(out, "items");
    } else if (worker->items == 1) {
        add(out, "item %llu", first);
    } else {
        add(out, "items %llu to %llu", first, last);
    }
    add(out, worker->task.label[0] ? " of map" : " of a map");
}

/* What a task or a map is called, and where it comes from. */
static void add_origin(text *out, const lp_task_view *task)
{
    if (task->label[0]) add(out, " '%s'", task->label);
    if (task->origin) add(out, ", submitted at %s", task->origin);
}

static void add_task(text *out, const lp_task_view *task)
{
    add(out, "task #%u", (unsigned)task->serial);
    add_origin(out, task);
}

static void add_doing(text *out, const lp_worker_view *worker)
{
    double seconds = (double)worker->age / 1e9;
    switch (worker->doing) {
    case LP_DOES_STARTING:
        add(out, "is starting");
        break;
    case LP_DOES_NOTHING:
        add(out, "idle for %.3f s", seconds);
        break;
    case LP_DOES_ITEMS:
        add(out, "runs ");
        add_items(out, worker);
        add_origin(out, &worker->task);
        add(out, ", for %.3f s", seconds);
        break;
    case LP_DOES_TASK:
        add(out, "runs ");
        add_task(out, &worker->task);
        add(out, ", for %.3f s", seconds);
        break;
    }
    if (worker->waits && worker->waits_for > 0) {
        add(out, "; waits for task #%u", (unsigned)worker->waits_for);
    } else if (worker->waits) {
        add(out, "; waits");
    }
}

static void add_worker(text *out, const lp_setup *setup,
                       const lp_worker_view *worker, uint32_t self)
{
    char name[LP_NAME_SIZE];
    lp_setup_name(setup, worker->number, name, sizeof(name));
    add(out, "  %s", name);
    if (worker->pid > 0) {
        add(out, " (pid %d)", (int)worker->pid);
    } else if (worker->thread > 0) {
        add(out, " (thread %d)", (int)worker->thread);
    }
    add(out, ": ");
    add_doing(out, worker);
    add(out, "\n");
    if (worker->stack) {
        add_lines(out, worker->stack, "    ");
    } else if (worker->number == self) {
        add(out, "    (asks for this)\n");
    } else if (worker->asked) {
        add(out, "    (no Lua stack: it is in a C function, or ends)\n");
    }
}

static void add_head(text *out, lp_executor *executor)
{
    char name[80];
    lpool_executor *outer = (lpool_executor *)executor;
    lpool_stats stats = {.size = sizeof(stats)};
    lpool_executor_stats(outer, &stats);
    lpool_executor_describe(outer, name, sizeof(name));
    add(out, "%s: %u workers, %u idle; ", name, stats.workers, stats.idle);
    add(out,
        "%llu pending, %llu running, %llu completed, %llu failed, %llu "
        "cancelled, %llu lost\n",
        (unsigned long long)stats.pending, (unsigned long long)stats.running,
        (unsigned long long)stats.completed, (unsigned long long)stats.failed,
        (unsigned long long)stats.cancelled, (unsigned long long)stats.lost);
    const char *broken = lpool_executor_broken(outer);
    if (!broken) return;
    add(out, "  it broke: ");
    put(out, broken, strlen(broken));
    put(out, "\n", 1);
}

/* What an executor does; self is the worker that asks, or LP_NO_WORKER. */
static void add_executor(text *out, lp_executor *executor, uint32_t self)
{
    lp_worker_view *workers;
    lp_task_view next[NEXT_TASKS];
    uint32_t count;
    add_head(out, executor);
    int status = lp_executor_view(executor, self, &workers, &count);
    if (out->status == LP_OK) out->status = status;
    for (uint32_t i = 0; i < count; i++)
        add_worker(out, lp_executor_setup(executor), &workers[i], self);
    lp_executor_free_views(workers, count);
    count = lp_executor_view_pending(executor, next, NEXT_TASKS);
    for (uint32_t i = 0; i < count; i++) {
        add(out, "  pending: ");
        add_task(out, &next[i]);
        add(out, "\n");
    }
}

int lpool_executor_dump(lua_State *L, lpool_executor *executor)
{
    lp_caller *caller;
    lp_executor *inner = lp_executor_inner(executor);
    int status = lp_caller_enter_for(L, inner, &caller);
    if (status != LP_OK) return status;
    const lp_identity *identity = caller->identity;
    bool own = identity && identity->executor == inner;
    luaL_checkstack(L, 2, "a dump");
    /* The collector's, should the string raise. */
    text out = {.bytes = lp_caller_open_buffer(L, caller)};
    add_executor(&out, inner, own ? identity->number : LP_NO_WORKER);
    if (out.status == LP_OK)
        lua_pushlstring(L, (const char *)out.bytes->bytes,
                        out.bytes->length - 1); /* without the last line end */
    lp_caller_close_buffer(L, caller, out.bytes);
    return out.status;
}

/* ---- all executors ---- */

typedef struct list {
    lp_executor **items;
    size_t count;
    size_t room;
} list;

static void count_one(lp_executor *executor, void *context)
{
    (void)executor;
    ((list *)context)->room++;
}

static void keep_one(lp_executor *executor, void *context)
{
    list *all = context;
    if (all->count == all->room || !lp_executor_setup(executor) ||
        lp_executor_is_serial(executor))
        return;
    lp_executor_retain(executor);
    all->items[all->count++] = executor;
}

static void log_lines(lpool *host, char *lines)
{
    char *line, *rest = lines;
    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line) lp_pool_log(host, line);
}

int lpool_dump(lpool *host)
{
    list all = {0};
    lp_buffer bytes;
    text out = {.bytes = &bytes};
    if (!host) return LP_INVALID;
    lp_buffer_init(&bytes, host->host.allocator);
    lp_host_each(&host->host, count_one, &all);
    all.items =
        lp_calloc(host->host.allocator, all.room + 1, sizeof(*all.items));
    if (!all.items) return LP_NOMEM;
    lp_host_each(&host->host, keep_one, &all);
    for (size_t i = 0; i < all.count; i++) {
        add_executor(&out, all.items[i], LP_NO_WORKER);
        lp_executor_release(all.items[i]);
    }
    lp_free(all.items);
    if (all.count == 0) add(&out, "no pools are open\n");
    if (out.status == LP_OK) out.status = lp_buffer_append(&bytes, "", 1);
    if (out.status == LP_OK) log_lines(host, (char *)bytes.bytes);
    lp_buffer_clear(&bytes);
    return out.status;
}
