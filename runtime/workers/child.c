/*
 * child.c - the life of a worker's process.
 *
 * The loop is the one that threads run. What is different: the arena and the
 * record lie in memory files, results of items are written where the host
 * can find them, standard output is flushed before a task is done, and a task
 * that calls os.exit was the last.
 */
#include "workers/child.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/thread.h"
#include "vm/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Lines up to this long reach a pipe or file in one piece. */
#define OUTPUT_BUFFER ((size_t)64 << 10)

/*
 * What a process with a memory limit may use besides, and how much more of
 * the limit: for C libraries, threads of its own pools, messages.
 */
#define MEMORY_SLACK ((uint64_t)512 << 20)
#define MEMORY_TIMES 4u

typedef struct child {
    lp_cradle *cradle;
    lp_memory_files files;
    lp_shm outcomes_file;
    lp_shm bell_file;
    lp_control control;
    lp_arena *outcomes;
    lp_worker loop;
    lp_lock link_lock; /* one question at a time */
    int socket;
} child;

/* ---- in the zygote ---- */

int lp_cradle_open(lp_cradle *cradle, char *text, size_t size)
{
    /* Children write here; it is not touched before. */
    (void)setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER);
    cradle->identity.stop = &cradle->stop;
    return lp_setup_open(&cradle->setup, &cradle->identity, &cradle->state,
                         text, size);
}

int lp_cradle_preload(void *context, const void *bytes, size_t length,
                      char *text, size_t size)
{
    lp_cradle *cradle = context;
    char module[LP_NAME_SIZE], why[LP_BREAK_TEXT];
    int status = lp_state_preload(cradle->state, bytes, length, module,
                                  sizeof(module), why, sizeof(why));
    if (status != LP_OK)
        snprintf(text, size,
                 "preload of '%s' failed, the pool is not usable any more: %s",
                 module, why);
    return status;
}

/* ---- talking to the host ---- */

static bool send_all(int socket, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t sent = send(socket, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int socket, void *bytes, size_t length)
{
    uint8_t *at = bytes;
    while (length > 0) {
        ssize_t got = recv(socket, at, length, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

/* For the library: see lp_library_link. */
static int ask(void *context, const lp_library_question *question,
               const void *bytes, size_t length, lp_library_answer *answer)
{
    child *self = context;
    const lp_child_header header = {.word = LP_CHILD_ASKS,
                                    .length = sizeof(*question) + length};
    lp_lock_enter(&self->link_lock);
    bool fine = send_all(self->socket, &header, sizeof(header)) &&
                send_all(self->socket, question, sizeof(*question)) &&
                send_all(self->socket, bytes, length) &&
                receive_all(self->socket, answer, sizeof(*answer));
    lp_lock_leave(&self->link_lock);
    return fine ? LP_OK : LP_CLOSED;
}

/* For shared objects: see lp_object_link. */
static int use(void *context, const lp_object_question *question,
               const void *key, const void *value, lp_object_answer *answer,
               lp_buffer *out)
{
    child *self = context;
    lp_child_answer answered;
    size_t key_length = (size_t)question->key_length;
    size_t length = (size_t)question->value_length;
    const lp_child_header header = {.word = LP_CHILD_USES,
                                    .length = sizeof(*question) + key_length +
                                              length};
    const lp_child_header has_read = {.word = LP_CHILD_HAS_READ};
    if (header.length > LP_CHILD_MOST_BYTES) return LP_NOMEM;
    lp_lock_enter(&self->link_lock);
    int status = LP_CLOSED;
    if (send_all(self->socket, &header, sizeof(header)) &&
        send_all(self->socket, question, sizeof(*question)) &&
        send_all(self->socket, key, key_length) &&
        send_all(self->socket, value, length) &&
        receive_all(self->socket, &answered, sizeof(answered))) {
        *answer = answered.object;
        status = LP_OK;
        if (answer->status == LP_OK && answer->length > 0) {
            const void *bytes = lp_arena_check(self->control.parcels,
                                               answered.place, answer->length);
            status = bytes && out
                         ? lp_buffer_append(out, bytes, (size_t)answer->length)
                         : LP_NOMEM;
            /* Others need the memory, if it is much. */
            if (answer->length > LP_BUFFER_LARGE)
                (void)send_all(self->socket, &has_read, sizeof(has_read));
        }
    }
    lp_lock_leave(&self->link_lock);
    return status;
}

static void tell_broken(child *self, const char *text)
{
    const lp_child_header header = {.word = LP_CHILD_BROKEN,
                                    .length = strlen(text)};
    if (send_all(self->socket, &header, sizeof(header)))
        (void)send_all(self->socket, text, strlen(text)); /* best effort */
}

/* For the trace: see lp_trace_sink. */
static int put_events(void *context, const char *events, size_t length)
{
    child *self = context;
    const lp_child_header header = {.word = LP_CHILD_TRACES, .length = length};
    lp_lock_enter(&self->link_lock);
    bool fine = send_all(self->socket, &header, sizeof(header)) &&
                send_all(self->socket, events, length);
    lp_lock_leave(&self->link_lock);
    return fine ? LP_OK : LP_CLOSED;
}

/* ---- executing ---- */

static void flush_output(void)
{
    if (__fpending(stdout) > 0) (void)fflush(stdout); /* its own affair */
}

/* A task called os.exit, or left no room: it was the last of this process. */
static void note_end(child *self)
{
    const lp_state *state = self->cradle->state;
    if (lp_call_exited(state) || lp_state_is_full(state)) self->loop.left = 0;
}

static void execute(void *context, const lp_job *job, lp_outcome *outcome)
{
    child *self = context;
    lp_job own = *job;
    own.handles = NULL; /* the host's; they have no meaning here */
    lp_state_worker_kind.execute(self->cradle->state, &own, outcome);
    flush_output();
    note_end(self);
}

static void begin_items(void *context, const lp_items *items, uint32_t first,
                        lp_progress *progress)
{
    child *self = context;
    lp_items own = *items;
    own.handles = NULL;
    lp_state_worker_kind.begin_items(self->cradle->state, &own, first,
                                     progress);
}

static void run_items(void *context, uint32_t count)
{
    child *self = context;
    lp_state_worker_kind.run_items(self->cradle->state, count);
    flush_output();
    note_end(self);
}

static void end_items(void *context, lp_items_outcome *outcome)
{
    child *self = context;
    lp_state_worker_kind.end_items(self->cradle->state, outcome);
}

static void recover(void *context)
{
    child *self = context;
    lp_state_recover(self->cradle->state);
}

static const lp_worker_kind kind = {
    .recover = recover,
    .execute = execute,
    .begin_items = begin_items,
    .run_items = run_items,
    .end_items = end_items,
};

/* ---- life ---- */

/* Map what the host shares. */
static int open_memory(child *self, const int *fds, uint32_t arena)
{
    lp_shm_init(&self->outcomes_file);
    lp_shm_init(&self->bell_file);
    int status = lp_memory_files_open(&self->files, fds[LP_CHILD_HOST_FILE],
                                      fds[LP_CHILD_WORDS_FILE]);
    int other = lp_shm_open(&self->outcomes_file, fds[LP_CHILD_OUTCOMES_FILE],
                            LP_ARENA_HEAD, true);
    if (status == LP_OK) status = other;
    other = lp_shm_open(&self->bell_file, fds[LP_CHILD_BELL_FILE],
                        sizeof(lp_bell), true);
    if (status == LP_OK) status = other;
    if (status != LP_OK) return status;
    self->outcomes = lp_arena_open(&self->outcomes_file, 0, false,
                                   self->cradle->host->allocator);
    if (!self->outcomes) return LP_NOMEM;
    self->loop.arena = arena;
    return lp_control_attach(&self->control, &self->files,
                             (lp_bell *)(void *)self->bell_file.base,
                             self->cradle->host->allocator);
}

/* Have the two parcels that the host has put into its arena. */
static int read_setup(child *self)
{
    const lp_layout *layout = self->control.layout;
    lp_setup *setup = &self->cradle->setup;
    const uint8_t *at = lp_arena_check(self->control.parcels, layout->setup,
                                       layout->setup_length);
    lp_child_setup told;
    if (!at || layout->setup_length < sizeof(told)) return LP_CORRUPT;
    memcpy(&told, at, sizeof(told));
    at += sizeof(told);
    setup->max_tasks = told.max_tasks;
    setup->memory_limit = told.memory_limit;
    int status = lp_buffer_append(&setup->initializer, at, told.initializer);
    if (status == LP_OK)
        status = lp_buffer_append(&setup->finalizer, at + told.initializer,
                                  told.finalizer);
    return status;
}

static int attach_library(child *self, int fd)
{
    const lp_library_link link = {.ask = ask, .context = self};
    lp_lock_init(&self->link_lock, LP_RANK_LINK);
    return lp_library_attach(self->cradle->host->library, fd, &link);
}

/* Bytes of private memory the process has, by the system's count; 0: unknown.
 */
static uint64_t private_memory(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%*u %*u %*u %*u %*u %llu", &pages) != 1) pages = 0;
    (void)fclose(file); /* it was only read */
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * The Lua heap has its own limit; this one is for C libraries, which must not
 * eat up the machine. Shared memory does not count.
 */
static void limit_memory(uint64_t limit)
{
    struct rlimit allowed;
    uint64_t now = private_memory();
    if (limit == 0 || now == 0 || limit > UINT64_MAX / 2 / MEMORY_TIMES) return;
    uint64_t most = now + MEMORY_SLACK + MEMORY_TIMES * limit;
    /* A system that refuses has a lower limit already. */
    if (getrlimit(RLIMIT_DATA, &allowed) != 0 || allowed.rlim_cur <= most)
        return;
    allowed.rlim_cur = most;
    (void)setrlimit(RLIMIT_DATA, &allowed);
}

static int attach_objects(child *self, int fd)
{
    const lp_object_link link = {.ask = use, .context = self};
    return lp_objects_attach(self->cradle->host->objects, fd, &link);
}

/* What is opened in this process is traced too. */
static int begin_trace(child *self, const lp_child_request *request)
{
    const lp_trace_sink sink = {.put = put_events, .context = self};
    const lp_identity *identity = &self->cradle->identity;
    lp_host *host = self->cradle->host;
    const lp_track_id id = {self->loop.pid, (uint32_t)self->loop.pid};
    int status = lp_control_trace(&self->control, &self->files);
    if (status != LP_OK) return status;
    host->trace = lp_trace_new(host->allocator, &sink, request->trace_began);
    if (!host->trace) return LP_NOMEM;
    lp_trace_name_process(host->trace, self->loop.pid, identity->name);
    self->loop.track =
        lp_track_new(host->trace, id, identity->name, request->prefix);
    return self->loop.track ? LP_OK : LP_NOMEM;
}

static int begin(child *self, const lp_child_request *request, const int *fds)
{
    lp_cradle *cradle = self->cradle;
    lp_identity *identity = &cradle->identity;
    int status = open_memory(self, fds, request->arena);
    int library = attach_library(self, fds[LP_CHILD_LIBRARY_FILE]);
    if (status == LP_OK) status = library;
    int objects = attach_objects(self, fds[LP_CHILD_OBJECTS_FILE]);
    if (status == LP_OK) status = objects;
    if (status == LP_OK) status = lp_host_renew(cradle->host);
    if (status == LP_OK) status = read_setup(self);
    if (status != LP_OK) return status;
    limit_memory(cradle->setup.memory_limit);

    lp_worker_init(&self->loop, &self->control, request->number);
    self->loop.arena = request->arena;
    self->loop.outcomes = self->outcomes;
    self->loop.kind = &kind;
    self->loop.self = self;
    self->loop.mortal = true;
    self->loop.pid = getpid();
    if (cradle->setup.max_tasks > 0) self->loop.left = cradle->setup.max_tasks;
    identity->number = request->number;
    identity->depth = request->depth;
    identity->seed = request->seed;
    identity->outcomes = lp_arena_memory(self->outcomes);
    snprintf(cradle->setup.prefix, LP_NAME_SIZE, "%s", request->prefix);
    lp_setup_name(&cradle->setup, request->number, identity->name,
                  sizeof(identity->name));
    lp_thread_set_name(identity->name);
    if (request->traced) status = begin_trace(self, request);
    if (status != LP_OK) return status;
    cradle->begun(cradle->context, request->depth, request->seed);
    cradle->stop.words = &self->loop.record->job;
    cradle->stop.show = lp_worker_show;
    cradle->stop.shower = &self->loop;
    lp_stop_install();
    lp_stop_adopt(&cradle->stop);
    return LP_OK;
}

/* Serve; gives how it ended. */
static lp_end serve(child *self)
{
    lp_cradle *cradle = self->cradle;
    char text[LP_BREAK_TEXT + 128];
    if (lp_setup_ready(&cradle->setup, &cradle->identity, cradle->state, text,
                       sizeof(text)) != LP_OK) {
        tell_broken(self, text);
        return LP_END_BROKEN;
    }
    atomic_store(&self->loop.record->pid, self->loop.pid);
    atomic_store(&self->loop.record->stage, LP_STAGE_READY);
    lp_worker_point(&self->loop, "ready");
    lp_end end = lp_worker_run(&self->loop);
    lp_worker_point(&self->loop, "ending");
    lp_setup_end(&cradle->setup, &cradle->identity, cradle->state, true);
    lp_track_free(self->loop.track);
    cradle->ended(cradle->context);
    return end;
}

int lp_cradle_child(void *context, const void *bytes, size_t length,
                    const int *fds, size_t fd_count)
{
    const lp_child_request *request = bytes;
    child *self =
        lp_calloc(((lp_cradle *)context)->host->allocator, 1, sizeof(*self));
    if (!self || length != sizeof(*request) || fd_count != LP_CHILD_FDS ||
        request->size != sizeof(*request))
        return EXIT_FAILURE;
    self->cradle = context;
    self->socket = fds[LP_CHILD_SOCKET];
    int status = begin(self, request, fds);
    if (status != LP_OK) {
        tell_broken(self, "a worker could not be started: it found no memory");
        return EXIT_FAILURE;
    }
    lp_end end = serve(self);
    (void)fflush(NULL); /* what cannot be written was lost before */
    atomic_store(&self->loop.record->stage, LP_STAGE_ENDED + 4 * (uint32_t)end);
    lp_worker_point(&self->loop, "ended");
    return EXIT_SUCCESS;
}
