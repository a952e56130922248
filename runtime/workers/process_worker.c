/*
 * process_worker.c - the host's side of a worker's process.
 *
 * start asks the zygote for a child and gives it its descriptors; all that
 * follows happens in the supervisor's thread: the child's questions, its
 * birth, its death. A child that ended in good order said so in its record;
 * any other end is a crash.
 */
#include "workers/process_worker.h"

#include "base/alloc.h"
#include "base/signal_name.h"
#include "base/status.h"
#include "core/burial.h"
#include "workers/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* So many children that die before they are ready break the executor. */
#define MOST_STILLBORN 3u

/* Memory for more than this is not kept for what a child says next. */
#define KEPT_BYTES ((size_t)1 << 20)

struct lp_process_workers {
    lp_setup setup;
    lp_executor *executor;
    lp_nursery *nursery; /* immutable, as the next three */
    bool breaks;
    uint32_t depth;
    int reader;         /* of the host's memory file */
    int library;        /* of the library's file */
    int objects;        /* the same of shared objects; borrowed */
    lp_mother *mother;  /* guarded by the executor's lock */
    uint32_t stillborn; /* supervisor only: in a row */
};

/* One child. */
typedef struct process_worker {
    lp_child child;
    lp_process_workers *workers;
    uint32_t number;
    lp_watch watch;      /* of the socket, from its birth on */
    bool watched;        /* supervisor only */
    lp_buffer heard;     /* what has come and is not complete */
    lp_object_refs refs; /* the shared objects that it has */
    lp_place answer;     /* what it was told last */
} process_worker;

lp_process_workers *lp_process_workers_new(const lp_setup *setup,
                                           lp_nursery *nursery, bool breaks,
                                           uint32_t depth)
{
    lp_process_workers *workers =
        lp_calloc(setup->state.allocator, 1, sizeof(*workers));
    if (!workers) return NULL;
    workers->setup = *setup;
    workers->nursery = nursery;
    workers->breaks = breaks;
    workers->depth = depth;
    workers->reader = workers->library = -1;
    return workers;
}

int lp_process_workers_attach(lp_process_workers *workers,
                              lp_executor *executor)
{
    const lp_setup *setup = &workers->setup;
    workers->executor = executor;
    workers->reader = lp_shm_reader(&lp_executor_files(executor)->host);
    if (workers->reader < 0) return LP_SYSTEM;
    int status = lp_library_share(lp_executor_host(executor)->library,
                                  &workers->library);
    if (status != LP_OK) {
        workers->library = -1;
        return status;
    }
    status = lp_objects_share(lp_executor_host(executor)->objects,
                              &workers->objects);
    if (status != LP_OK) return status;
    const lp_child_setup told = {
        .max_tasks = setup->max_tasks,
        .memory_limit = setup->memory_limit,
        .initializer = setup->initializer.length,
        .finalizer = setup->finalizer.length,
    };
    lp_buffer bytes;
    lp_buffer_init(&bytes, setup->state.allocator);
    status = lp_buffer_append(&bytes, &told, sizeof(told));
    if (status == LP_OK)
        status = lp_buffer_append(&bytes, setup->initializer.bytes,
                                  setup->initializer.length);
    if (status == LP_OK)
        status = lp_buffer_append(&bytes, setup->finalizer.bytes,
                                  setup->finalizer.length);
    if (status == LP_OK)
        status = lp_executor_keep_setup(executor, bytes.bytes, bytes.length);
    lp_buffer_clear(&bytes);
    return status;
}

static lp_record *record_of(const process_worker *worker)
{
    return lp_table_at(&lp_executor_control(worker->workers->executor)->records,
                       worker->number);
}

/* ---- what a child says ---- */

/*
 * Put the bytes of an answer where the child can read them, in place of those
 * of its last one.
 */
static int keep_answer(process_worker *worker, const lp_buffer *bytes)
{
    lp_executor *executor = worker->workers->executor;
    if (worker->answer) lp_executor_drop(executor, worker->answer);
    worker->answer = 0;
    if (!bytes || bytes->length == 0) return LP_OK;
    return lp_executor_put(executor, bytes->bytes, bytes->length,
                           &worker->answer);
}

/* The child uses a shared object. */
static void serve_use(process_worker *worker, const lp_child_header *header,
                      const uint8_t *bytes)
{
    lp_host *host = lp_executor_host(worker->workers->executor);
    lp_object_question question;
    lp_child_answer answer = {.object = {.status = LP_INVALID}};
    lp_buffer out;
    lp_buffer_init(&out, host->allocator);
    (void)keep_answer(worker, NULL);
    if (header->length >= sizeof(question)) {
        memcpy(&question, bytes, sizeof(question));
        uint64_t rest = header->length - sizeof(question);
        if (question.key_length <= rest &&
            question.value_length == rest - question.key_length)
            lp_objects_answer(host->objects, &worker->refs, &question,
                              bytes + sizeof(question), &answer.object, &out);
    }
    if (keep_answer(worker, &out) != LP_OK) answer.object.status = LP_NOMEM;
    answer.place = worker->answer;
    lp_buffer_clear(&out);
    (void)send(worker->watch.fd, &answer, sizeof(answer),
               MSG_NOSIGNAL | MSG_DONTWAIT); /* as below */
}

/* Deal with one whole message. */
static void take_message(process_worker *worker, const lp_child_header *header,
                         const uint8_t *bytes)
{
    lp_executor *executor = worker->workers->executor;
    if (header->word == LP_CHILD_ASKS) {
        lp_library_question question;
        lp_library_answer answer = {.status = LP_INVALID};
        size_t rest = (size_t)header->length - sizeof(question);
        if (header->length >= sizeof(question)) {
            memcpy(&question, bytes, sizeof(question));
            lp_library_reply(lp_executor_host(executor)->library, &question,
                             bytes + sizeof(question), rest, &answer);
        }
        /* The child waits for it; if it does not, it is dead or mad. */
        (void)send(worker->watch.fd, &answer, sizeof(answer),
                   MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (header->word == LP_CHILD_USES) {
        serve_use(worker, header, bytes);
    } else if (header->word == LP_CHILD_HAS_READ) {
        (void)keep_answer(worker, NULL);
    } else if (header->word == LP_CHILD_TRACES) {
        lp_trace *trace = lp_executor_host(executor)->trace;
        if (trace)
            lp_trace_put(trace, (const char *)bytes, (size_t)header->length);
    } else if (header->word == LP_CHILD_BROKEN) {
        char text[LP_BREAK_TEXT + 128];
        snprintf(text, sizeof(text), "%.*s", (int)header->length,
                 (const char *)bytes);
        lp_executor_break(executor, text);
    }
}

/* Take the whole messages out of what was heard; false: it makes no sense. */
static bool take_messages(process_worker *worker)
{
    lp_buffer *heard = &worker->heard;
    size_t at = 0;
    for (;;) {
        lp_child_header header;
        if (heard->length - at < sizeof(header)) break;
        memcpy(&header, heard->bytes + at, sizeof(header));
        if (header.length > LP_CHILD_MOST_BYTES) return false;
        if (heard->length - at - sizeof(header) < header.length) break;
        at += sizeof(header);
        take_message(worker, &header, heard->bytes + at);
        at += (size_t)header.length;
    }
    memmove(heard->bytes, heard->bytes + at, heard->length - at);
    heard->length -= at;
    if (heard->length == 0 && heard->capacity > KEPT_BYTES)
        lp_buffer_clear(heard);
    return true;
}

/* Read all that the child has said. False: it will say no more. */
static bool listen_to(process_worker *worker)
{
    lp_buffer *heard = &worker->heard;
    for (;;) {
        if (lp_buffer_reserve(heard, 4096) != LP_OK) return false;
        ssize_t got = recv(worker->watch.fd, heard->bytes + heard->length,
                           heard->capacity - heard->length, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
        if (got == 0) return false;
        heard->length += (size_t)got;
        if (!take_messages(worker)) return false;
    }
}

static bool is_child(const lp_child *child, void *wanted)
{
    return child == wanted;
}

static void kill_child(process_worker *worker)
{
    lp_nursery_signal(worker->workers->nursery, SIGKILL, is_child,
                      &worker->child);
}

/*
 * Supervisor: the child says something, or has closed its socket; or what it
 * says is too much for us.
 */
static void hear(void *context)
{
    process_worker *worker = context;
    lp_host *host = lp_executor_host(worker->workers->executor);
    if (listen_to(worker)) return;
    /* Its death will be told by the zygote. Until then nobody would answer. */
    kill_child(worker);
    lp_supervisor_forget(&host->supervisor, &worker->watch);
    worker->watched = false;
}

/* ---- its end ---- */

static void free_worker(process_worker *worker)
{
    lp_host *host = lp_executor_host(worker->workers->executor);
    if (worker->watched)
        lp_supervisor_forget(&host->supervisor, &worker->watch);
    close(worker->watch.fd);
    lp_objects_bury(&worker->refs);
    (void)keep_answer(worker, NULL);
    lp_buffer_clear(&worker->heard);
    lp_free(worker);
}

/* Supervisor. */
static void born(lp_child *child, int error)
{
    process_worker *worker = LP_LIST_ENTRY(child, process_worker, child);
    lp_executor *executor = worker->workers->executor;
    uint32_t number = worker->number;
    if (error == 0) {
        lp_host *host = lp_executor_host(executor);
        worker->watched =
            lp_supervisor_watch(&host->supervisor, &worker->watch) == LP_OK;
        /* Whoever cannot be heard cannot serve. */
        if (!worker->watched) kill_child(worker);
        return;
    }
    char text[256], buffer[128];
    const char *why = strerror_r(error, buffer, sizeof(buffer));
    if (error == ENOEXEC) why = "the helper program is not lpool's";
    free_worker(worker);
    snprintf(text, sizeof(text),
             "a worker could not be started: %s; the pool is not usable any "
             "more",
             why);
    lp_executor_retain(executor); /* as in died */
    lp_executor_start_failed(executor, number, text);
    lp_executor_release(executor);
}

/* It died before its first task; give up if that happens again and again. */
static void count_stillborn(process_worker *worker, int status)
{
    lp_process_workers *workers = worker->workers;
    if (++workers->stillborn < MOST_STILLBORN) return;
    char how[64], text[256];
    lp_signal_describe(status, how, sizeof(how));
    snprintf(text, sizeof(text),
             "a worker %s while it started, the last one as pid %d; the pool "
             "is not usable any more",
             how, (int)worker->child.pid);
    lp_executor_break(workers->executor, text);
}

/* Supervisor. */
static void died(lp_child *child, int status)
{
    process_worker *worker = LP_LIST_ENTRY(child, process_worker, child);
    lp_process_workers *workers = worker->workers;
    lp_executor *executor = workers->executor;
    const lp_death death = {.pid = worker->child.pid, .status = status};
    uint32_t number = worker->number;
    (void)listen_to(worker); /* its last words */
    uint32_t stage = atomic_load(&record_of(worker)->stage);
    const lp_layout *layout = lp_executor_control(executor)->layout;
    bool stops = atomic_load(&layout->mode) == LP_MODE_STOP; /* it was told */
    if (stage == LP_STAGE_STARTING && !worker->child.orphaned && !stops) {
        count_stillborn(worker, status);
    } else {
        workers->stillborn = 0;
    }
    bool orderly = (stage & 3) == LP_STAGE_ENDED && WIFEXITED(status);
    bool breaks = workers->breaks;
    free_worker(worker);
    /* Others may free the executor as soon as its last worker has ended. */
    lp_executor_retain(executor);
    if (orderly) {
        lp_executor_worker_ended(executor, number, (lp_end)(stage / 4));
    } else {
        if (breaks) lp_executor_break_abruptly(executor);
        lp_burial(executor, number, &death);
    }
    lp_executor_release(executor);
}

/* ---- the kind ---- */

/* Say that the process has ended that was to load these. */
static void name_preload(const lp_setup *setup, char *text, size_t size)
{
    const char *at = (const char *)setup->preload.bytes;
    const char *end = at + setup->preload.length;
    size_t length = (size_t)snprintf(text, size, "preload of");
    at += strlen(at) + 1; /* the two search paths come first */
    at += strlen(at) + 1;
    for (; at < end && length < size; at += strlen(at) + 1)
        length += (size_t)snprintf(text + length, size - length, " '%s'", at);
    if (length < size)
        snprintf(text + length, size - length,
                 " failed, the pool is not usable any more: the process that "
                 "loads the modules has ended");
}

/* Supervisor: the modules are loaded, or cannot be. */
static void preloaded(void *context, const char *why, bool lost)
{
    lp_process_workers *workers = context;
    lp_executor *executor = workers->executor;
    char names[LP_BREAK_TEXT];
    if (lost) {
        name_preload(&workers->setup, names, sizeof(names));
        why = names;
    }
    /* Nobody wants to hear of it once the executor was stopped. */
    if (why && lp_executor_check(executor) == LP_OK) {
        char text[LP_BREAK_TEXT + 128];
        snprintf(text, sizeof(text), "a worker's %s", why);
        workers->setup.log(workers->setup.log_context, text);
        lp_executor_break(executor, text);
    }
    lp_executor_release(executor);
}

/* Have a zygote with the modules; under the executor's lock. */
static int preload(lp_process_workers *workers)
{
    const lp_buffer *bytes = &workers->setup.preload;
    lp_executor_retain(workers->executor); /* until preloaded is called */
    int status =
        lp_nursery_preload(workers->nursery, bytes->bytes, bytes->length,
                           preloaded, workers, &workers->mother);
    if (status != LP_OK) lp_executor_unretain(workers->executor);
    return status;
}

/* Ask for the child. */
static int bear(process_worker *worker, int socket)
{
    lp_process_workers *workers = worker->workers;
    lp_executor *executor = workers->executor;
    lp_identity identity;
    lp_setup_identify(&workers->setup, executor, worker->number, &identity);
    lp_child_request request = {
        .size = sizeof(request),
        .number = worker->number,
        .arena = lp_executor_worker_arena(executor, worker->number),
        .depth = workers->depth,
        .seed = identity.seed,
        .traced = lp_executor_is_traced(executor),
    };
    if (request.traced)
        request.trace_began = lp_trace_began(identity.host->trace);
    snprintf(request.prefix, sizeof(request.prefix), "%s",
             workers->setup.prefix);
    const int fds[LP_CHILD_FDS] = {
        [LP_CHILD_HOST_FILE] = workers->reader,
        [LP_CHILD_WORDS_FILE] = lp_executor_files(executor)->words.fd,
        [LP_CHILD_OUTCOMES_FILE] =
            lp_executor_arena_file(executor, request.arena)->fd,
        [LP_CHILD_LIBRARY_FILE] = workers->library,
        [LP_CHILD_BELL_FILE] = lp_executor_host(executor)->bell_file.fd,
        [LP_CHILD_OBJECTS_FILE] = workers->objects,
        [LP_CHILD_SOCKET] = socket,
    };
    atomic_store(&record_of(worker)->stage, LP_STAGE_STARTING);
    return lp_nursery_bear(workers->nursery, workers->mother, &worker->child,
                           &request, sizeof(request), fds, LP_CHILD_FDS);
}

/* Called under the executor's lock. */
static int start(void *self, uint32_t number)
{
    lp_process_workers *workers = self;
    if (workers->mother &&
        lp_nursery_is_gone(workers->nursery, workers->mother)) {
        lp_nursery_release(workers->nursery, workers->mother);
        workers->mother = NULL;
    }
    if (workers->setup.preload.length > 0 && !workers->mother) {
        int status = preload(workers);
        if (status != LP_OK) return status;
    }
    process_worker *worker =
        lp_calloc(workers->setup.state.allocator, 1, sizeof(*worker));
    if (!worker) return LP_NOMEM;
    worker->workers = workers;
    worker->number = number;
    lp_buffer_init(&worker->heard, workers->setup.state.allocator);
    worker->child.born = born;
    worker->child.died = died;
    lp_list_init(&worker->child.in_nursery);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        lp_free(worker);
        return LP_SYSTEM;
    }
    worker->watch = (lp_watch){.fd = pair[0], .ready = hear, .context = worker};
    int status = bear(worker, pair[1]);
    close(pair[1]);
    if (status != LP_OK) {
        close(pair[0]);
        lp_free(worker);
    }
    return status;
}

static void close_files(lp_process_workers *workers)
{
    if (workers->reader >= 0) close(workers->reader);
    if (workers->library >= 0) close(workers->library);
    workers->reader = workers->library = -1;
}

/* All workers have ended, and their processes with them. */
static void join(void *self)
{
    close_files(self);
}

static bool is_ours(const lp_child *child, void *self)
{
    const process_worker *worker =
        (const process_worker *)(const void *)child; /* its first field */
    return worker->workers == self;
}

static void kill_workers(void *self, int signal)
{
    lp_process_workers *workers = self;
    if (signal <= 0) return;
    lp_nursery_abort(workers->nursery, workers);
    lp_nursery_signal(workers->nursery, signal, is_ours, self);
}

/* One worker of ours, by its number. */
typedef struct wanted {
    const lp_process_workers *workers;
    uint32_t number;
} wanted;

static bool is_wanted(const lp_child *child, void *context)
{
    const process_worker *worker =
        (const process_worker *)(const void *)child; /* its first field */
    const wanted *which = context;
    return worker->workers == which->workers && worker->number == which->number;
}

static void signal_worker(lp_process_workers *workers, uint32_t number,
                          int signal)
{
    wanted which = {workers, number};
    lp_nursery_signal(workers->nursery, signal, is_wanted, &which);
}

static void stop(void *self, uint32_t number)
{
    signal_worker(self, number, lp_stop_signal());
}

static void abandon(void *self, uint32_t number)
{
    signal_worker(self, number, SIGKILL);
}

static void free_workers(void *self)
{
    lp_process_workers *workers = self;
    lp_nursery_release(workers->nursery, workers->mother);
    close_files(workers);
    lp_setup_clear(&workers->setup);
    lp_free(workers);
}

const lp_executor_kind lp_process_kind = {
    .start = start,
    .join = join,
    .kill = kill_workers,
    .stop = stop,
    .abandon = abandon,
    .free = free_workers,
};
