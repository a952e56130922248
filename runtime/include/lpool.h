/*
 * lpool.h - executors and futures for Lua, for C hosts and for the module.
 *
 * A host (lpool) owns everything: executors, their workers and their tasks.
 * A program may open several; they do not know of each other. Lua states
 * that submit work are attached to one host. Values go in and come out over
 * the Lua stack, so there is one function per verb and not one per type.
 *
 * Functions that can fail return 0 or a negative LPOOL_E...; results go
 * through the last parameter. A function whose parameters include a
 * lua_State may raise Lua errors (memory, and errors of user code that it
 * calls) and must be called by the thread that owns the state; all others
 * never raise and may be called by any thread. Times are nanoseconds;
 * a timeout below zero means for ever.
 *
 * What does not fit is LPOOL_EINVALID, and nothing has happened: a null
 * pointer, a state that is not attached, an executor, future or map of
 * another host than the state's. A debug build (-DLP_DEBUG) returns
 * LPOOL_ETHREAD if another thread owns the state; others do not look, and
 * neither do functions that return no status. No function finds out whether
 * a handle was released, or its host closed, before: that is undefined, as a
 * use after free.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LPOOL_H
#define LPOOL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LPOOL_VERSION_MAJOR 0
#define LPOOL_VERSION_MINOR 1
#define LPOOL_VERSION_PATCH 0

#if defined(__GNUC__)
#    define LPOOL_API __attribute__((visibility("default")))
#else
#    define LPOOL_API
#endif

/* "0.1.0". */
LPOOL_API const char *lpool_version(void);

/*
 * For programs that link the shared library: 0, or LPOOL_EVERSION if they
 * were compiled with a header that does not fit it, or for another Lua.
 */
#define lpool_abi_check()                                                      \
    lpool_check_version(LPOOL_VERSION_MAJOR, LPOOL_VERSION_MINOR,              \
                        LUA_VERSION_NUM)
LPOOL_API int lpool_check_version(int major, int minor, int lua);

#define LPOOL_OK          0
#define LPOOL_ENOMEM      (-1)  /* memory is short */
#define LPOOL_ECLOSED     (-2)  /* the executor takes no more work */
#define LPOOL_EBROKEN     (-3)  /* the executor broke: an initializer failed */
#define LPOOL_ETIMEOUT    (-4)  /* the timeout passed first */
#define LPOOL_EUNSENDABLE (-6)  /* a value cannot cross */
#define LPOOL_ECORRUPT    (-7)  /* bytes that lpool did not write */
#define LPOOL_EINVALID    (-8)  /* an argument or a state that does not fit */
#define LPOOL_ESYSTEM     (-9)  /* the system refused: see errno */
#define LPOOL_EFAILED     (-10) /* Lua code raised an error */
#define LPOOL_EDEEP       (-11) /* executors are nested too deep */
#define LPOOL_EFULL       (-12) /* no more tasks may be pending */
#define LPOOL_ECROWDED    (-13) /* no more priorities can be pending */
#define LPOOL_EDEADLOCK   (-14) /* tasks wait for each other, for ever */
#define LPOOL_ENOHELPER   (-20) /* process pools have no helper program */
#define LPOOL_EVERSION    (-21) /* lpool.h or Lua is of another version */
#define LPOOL_ETHREAD     (-22) /* the Lua state is of another thread */

/* What a status means, in words; never NULL. */
LPOOL_API const char *lpool_strerror(int status);

typedef struct lpool lpool;                   /* a host */
typedef struct lpool_executor lpool_executor; /* a queue and its workers */
typedef struct lpool_future lpool_future;     /* a reference to a task */
typedef struct lpool_waiter lpool_waiter;     /* many futures, one by one */
typedef struct lpool_map lpool_map;           /* the results of a map */

/* ---- hosts and states ---- */

typedef struct lpool_config {
    size_t size; /* sizeof(lpool_config) */
    /*
     * Called in each new worker state, after the standard libraries are
     * open, to add what tasks may use. May raise. NULL: nothing is added.
     */
    void (*open_state)(lua_State *L);
    /*
     * A line for people, without the line end, borrowed; context is the one
     * below. Called by any thread, several at once, with no lock held. NULL:
     * to stderr.
     */
    void (*log)(void *context, const char *line);
    /*
     * The program that is run as the helper of process pools: its main calls
     * lpool_helper_main. Borrowed by lpool_open. NULL: what the environment
     * variable LPOOL_HELPER says; else the program that runs now, if it has
     * called lpool_helper_main; else the installed lpool.
     */
    const char *helper;
    /*
     * Where the host takes its memory from: as a lua_Alloc, with context as
     * its first argument; blocks are aligned as those of malloc. Any thread
     * calls it, several at once, and it must not call lpool. NULL: malloc.
     *
     * From it come the host itself, executors, tasks, queues, what is sent
     * and comes back, and the Lua states of thread and serial workers; all
     * of it is given back when lpool_close returns 0, unless a thread was
     * given up that is still stuck. Not from it come memory that processes
     * share (memory files; a page for each host), the stacks of threads,
     * what the system's libraries take for themselves, and what lpool keeps
     * in the Lua states that are attached, whose allocator is yours. The
     * helper and the workers of process pools use what the config of
     * lpool_helper_main says.
     */
    lua_Alloc allocate;
    void *context; /* yours: the first argument of log and allocate */
} lpool_config;

/*
 * The context of the host's config; NULL for NULL. For open_state, and for
 * functions in any state: lpool_context(lpool_of(L)). In workers of process
 * pools that is the context that lpool_helper_main was given.
 */
LPOOL_API void *lpool_context(const lpool *host);

/* Fill in the defaults. */
LPOOL_API void lpool_config_init(lpool_config *config);

/*
 * Open a host. 0, LPOOL_ENOMEM or LPOOL_ESYSTEM; LPOOL_EVERSION if the size in
 * config is not that of this library; LPOOL_EINVALID for a null pointer.
 */
LPOOL_API int lpool_open(const lpool_config *config, lpool **host);

/*
 * For the start of a main function: -1 if the arguments are not those of a
 * helper of process pools; else what main is to return, once the helper has
 * served. config is that of the states of its workers; its open_state is
 * called in them.
 */
LPOOL_API int lpool_helper_main(int argc, char **argv,
                                const lpool_config *config);

/*
 * Finish what is queued in all its executors, join their workers and free
 * the host, with all handles that were not released; none is used after
 * that. 0; or LPOOL_EINVALID, and nothing
 * has happened, while a state that is attached to it is not closed. NULL is
 * allowed.
 */
LPOOL_API int lpool_close(lpool *host);

/*
 * Let L submit work to host, and wait for it. Once for each Lua state; lasts
 * until the state is closed, before the host is. The calling thread owns L
 * then; a state may move to another thread, which attaches it once more, to
 * say so. [-0, +0, e] 0; LPOOL_EVERSION if L is of another version of Lua;
 * LPOOL_EINVALID for a null pointer, or if L is attached to another host.
 */
LPOOL_API int lpool_attach(lpool *host, lua_State *L);

/*
 * Shut down all executors of L's host and wait until their work is done, for
 * the end of a program. 0. [-0, +0, e] Raises "interrupted!" on an interrupt.
 */
LPOOL_API int lpool_finish(lua_State *L);

/*
 * Make a file with a trace of the executors that are opened from now on: one
 * event for each task and each piece of a map, on the track of the worker that
 * ran it, for Perfetto (https://ui.perfetto.dev) and chrome://tracing. What
 * was there before is gone. 0; LPOOL_ESYSTEM: see errno, which is ESPIPE for
 * what is no file, such as a pipe; LPOOL_ENOMEM; LPOOL_EINVALID for a null
 * pointer, or if the host has a trace. If the file cannot be written any more,
 * the log is told, and the trace ends there.
 */
LPOOL_API int lpool_trace_open(lpool *host, const char *path);

/*
 * Write what workers have to say of the tasks that have ended, and end the
 * trace. lpool_close does it, too: this is for programs that end without. NULL
 * is allowed, and a host without a trace.
 */
LPOOL_API void lpool_trace_close(lpool *host);

/* The host L is attached to; NULL if none. [-0, +0, -] */
LPOOL_API lpool *lpool_of(lua_State *L);

/* Which worker L belongs to. */
typedef struct lpool_worker_info {
    const char *name; /* borrowed, as long as the worker lives */
    const char *kind;
    unsigned index;
    lpool_executor *executor; /* borrowed */
} lpool_worker_info;

/* False if L is not a worker's state. [-0, +0, -] */
LPOOL_API bool lpool_worker(lua_State *L, lpool_worker_info *info);

/*
 * Whether the task that runs in L was told to end, by an interrupt or because
 * its time has passed. Lua code is ended by lpool; C functions that take
 * long should look, and raise any error: it becomes the right one. A thread
 * that does not end its task within 0.3 seconds is given up: another takes
 * its place, and what it does from then on is dropped. [-0, +0, -]
 */
LPOOL_API bool lpool_is_stopped(lua_State *L);

/*
 * Run the callbacks of L whose futures have ended, and report failures that
 * nobody looked at. Every function that waits does it too. 0. [-0, +0, e]
 */
LPOOL_API int lpool_dispatch(lua_State *L);

/*
 * A descriptor for the event loop of the thread that uses L: readable when
 * lpool_dispatch has callbacks to run. Poll it for reading, read nothing from
 * it, and call lpool_dispatch. It belongs to lpool and is closed with L. The
 * first one starts a thread in the host, and none is started otherwise. 0,
 * LPOOL_ENOMEM, LPOOL_ESYSTEM, LPOOL_EINVALID. [-0, +0, -]
 */
LPOOL_API int lpool_fd(lua_State *L, int *fd);

/* Sleep. 0. Raises as lpool_future_wait. [-0, +0, e] */
LPOOL_API int lpool_sleep(lua_State *L, int64_t timeout);

/* Monotonic nanoseconds; processors that can be used. */
LPOOL_API int64_t lpool_now(void);
LPOOL_API int lpool_cpu_count(void);

/* ---- executors ---- */

typedef enum lpool_kind {
    LPOOL_THREADS = 1,  /* each worker a thread with its own state */
    LPOOL_SERIAL = 2,   /* each runs at once, in the caller: of one thread */
    LPOOL_PROCESSES = 3 /* each worker a process, which may crash alone */
} lpool_kind;

/* What a submit does when as many tasks are pending as may be. */
typedef enum lpool_when_full {
    LPOOL_FULL_BLOCKS = 0, /* waits */
    LPOOL_FULL_FAILS,      /* returns LPOOL_EFULL */
    LPOOL_FULL_RUNS        /* the same: see lpool_executor_stand_in */
} lpool_when_full;

typedef struct lpool_executor_config {
    size_t size; /* sizeof(lpool_executor_config) */
    lpool_kind kind;
    unsigned max_workers;    /* 0: the kind's default */
    const char *name_prefix; /* NULL: such as ThreadPoolExecutor-<n> */
    int64_t timeout; /* of each task from its start, nanoseconds; 0: none */
    bool breaks; /* processes: the death of one worker breaks the executor */
    unsigned max_queue; /* most pending tasks, without items; 0: any number */
    lpool_when_full when_full;
    uint64_t max_tasks;         /* of a worker before it is replaced; 0: any */
    uint64_t memory_limit;      /* bytes of a worker's Lua heap; 0: any */
    const char *const *preload; /* modules that each worker requires */
    size_t preload_count;
    int initializer; /* stack index of a function; 0: none */
    int initargs;    /* stack index of a list of its arguments; 0: none */
    int finalizer;   /* stack index of a function; 0: none */
} lpool_executor_config;

LPOOL_API void lpool_executor_config_init(lpool_executor_config *config);

/* Executors of tasks of executors ... so deep, and no deeper. */
#define LPOOL_MAX_DEPTH 8u

/* The most workers that an executor can have. */
#define LPOOL_MAX_WORKERS 16382u

/* So many different priorities can be pending in one executor at a time. */
#define LPOOL_MAX_PRIORITIES 64

/*
 * The least memory_limit. A worker's state takes 26 KiB before its first task,
 * and 98 KiB once that has made an executor of its own.
 */
#define LPOOL_MIN_MEMORY_LIMIT 131072u

/*
 * Open an executor of the host that L is attached to. [-0, +0, e] on
 * success; the caller owns the reference it is given. LPOOL_EUNSENDABLE:
 * [-0, +1, e], the text says what cannot cross. LPOOL_EDEEP: L belongs to a
 * worker of LPOOL_MAX_DEPTH executors. LPOOL_ENOHELPER: [-0, +1, e], the text
 * says where the helper of process pools was looked for. LPOOL_EINVALID: a
 * memory_limit below LPOOL_MIN_MEMORY_LIMIT. LPOOL_ENOMEM, LPOOL_ESYSTEM.
 */
LPOOL_API int lpool_executor_open(lua_State *L,
                                  const lpool_executor_config *config,
                                  lpool_executor **executor);

/*
 * A kind of worker of your own: what a worker does to run a function, where
 * lpool would call it in the worker's Lua state. All else stays lpool's:
 * queueing, copying, the state, errors, limits, stopping, retries. A null
 * function is the default. All but interrupt are called on the worker's own
 * thread (for the serial kind: the caller's), with its state, without a
 * lock; several workers at the same time.
 */
typedef struct lpool_worker_kind {
    size_t size; /* sizeof(lpool_worker_kind) */
    const char
        *name;     /* of lpool_worker_info and workers' names; NULL: thread */
    void *context; /* for open; outlives the host */
    /*
     * A worker begins: L is its state, with the libraries, and nothing
     * preloaded. What is put into *self is passed to the others; without an
     * open it is the context. 0; or a negative LPOOL_E..., or an error
     * raised: that breaks the executor, and there is no close. index is that
     * of lpool_worker_info; when a thread was given up, another has it too.
     */
    int (*open)(void *context, lua_State *L, unsigned index, void **self);
    /*
     * Run a function: of a task, of an item of a map, the initializer or the
     * finalizer. It and nargs arguments are all that is on the stack. As a
     * lua_CFunction: how many results are on top, or an error raised; or
     * LPOOL_EFAILED, with the error and its traceback, a string, on top, as
     * lpool_future_push leaves them. Another negative LPOOL_E... is an error
     * of its words. The default is lua_call.
     */
    int (*execute)(void *self, lua_State *L, int nargs);
    /*
     * What execute runs is to end. Called by a signal handler on the
     * worker's thread, perhaps again and again until it has ended, so it may
     * only do what is async-signal-safe: such as writing to a pipe that
     * execute polls. A system call that execute is in ends with EINTR. See
     * lpool_is_stopped.
     */
    void (*interrupt)(void *self);
    /*
     * The worker ends: once for each open, after the finalizer, before L is
     * closed. An error that is raised is logged.
     */
    void (*close)(void *self, lua_State *L);
} lpool_worker_kind;

/*
 * The same as lpool_executor_open with workers of that kind, which is copied.
 * LPOOL_EVERSION: its size does not fit. LPOOL_EUNSENDABLE: [-0, +1, e],
 * config says that the workers are processes: only threads, and the serial
 * kind, have kinds.
 */
LPOOL_API int lpool_executor_open_kind(lua_State *L,
                                       const lpool_executor_config *config,
                                       const lpool_worker_kind *kind,
                                       lpool_executor **executor);

LPOOL_API void lpool_executor_retain(lpool_executor *executor);

/* The last release lets queued work finish, without waiting for it. */
LPOOL_API void lpool_executor_release(lpool_executor *executor);

LPOOL_API lpool_kind lpool_executor_kind(const lpool_executor *executor);
LPOOL_API unsigned lpool_executor_max_workers(const lpool_executor *executor);
LPOOL_API unsigned lpool_executor_max_queue(const lpool_executor *executor);
LPOOL_API lpool_when_full
lpool_executor_when_full(const lpool_executor *executor);

/*
 * What it is, for people: "<ThreadPoolExecutor open max_workers=2>". At most
 * size bytes go to text, with the final zero; 80 are enough.
 */
LPOOL_API void lpool_executor_describe(lpool_executor *executor, char *text,
                                       size_t size);

/* 0 if it takes work, else LPOOL_ECLOSED or LPOOL_EBROKEN. */
LPOOL_API int lpool_executor_check(lpool_executor *executor);

/* The kind of error that it raises once it is broken. */
LPOOL_API const char *
lpool_executor_broken_kind(const lpool_executor *executor);

/* Why it takes no more work, borrowed; NULL if it did not break. */
LPOOL_API const char *lpool_executor_broken(lpool_executor *executor);

#define LPOOL_CANCEL 1u /* what has not begun ends as cancelled */
#define LPOOL_STOP   2u /* and threads end after the task they run; */
#define LPOOL_KILL   4u /* processes at once: by SIGTERM, or by SIGKILL */

/* Take no more work. Idempotent. */
LPOOL_API void lpool_executor_shutdown(lpool_executor *executor,
                                       unsigned flags);

/* Nanoseconds; percentiles are right to about a tenth, longest is exact. */
typedef struct lpool_times {
    int64_t p50;
    int64_t p90;
    int64_t p99;
    int64_t longest;
} lpool_times;

/*
 * What an executor has done so far. Tasks and items of maps alike; submitted
 * is the sum of the six that follow it. What moves on during the look is
 * counted as before or as after.
 */
typedef struct lpool_stats {
    size_t size; /* sizeof(lpool_stats) */
    uint64_t submitted;
    uint64_t pending;
    uint64_t running;
    uint64_t completed; /* with results */
    uint64_t failed;    /* by an error or a limit, or since the pool broke */
    uint64_t cancelled;
    uint64_t lost;    /* with the process that ran them */
    unsigned workers; /* that live now */
    unsigned idle;    /* of these, without work */
    unsigned max_workers;
    lpool_times run;  /* from start to end; all zeroes before the first */
    lpool_times wait; /* from submit to start; past 1,024 tasks a sample */
} lpool_stats;

/*
 * Fill in stats, whose size is set. 0; LPOOL_EINVALID for a null pointer;
 * LPOOL_EVERSION if the size is not that of this library.
 */
LPOOL_API int lpool_executor_stats(lpool_executor *executor,
                                   lpool_stats *stats);

/* The same of all executors that host has or had, added up. */
LPOOL_API int lpool_host_stats(lpool *host, lpool_stats *stats);

/*
 * Push a text for people: what each worker is doing, for how long, the task's
 * label and where it was submitted, and its Lua stack where it can be had;
 * then the tasks that come next. Takes up to 100 ms: a worker is asked for
 * its stack, and one that is inside a long C function does not answer. 0:
 * [-0, +1, e]; LPOOL_ENOMEM, LPOOL_EINVALID: [-0, +0, e].
 */
LPOOL_API int lpool_executor_dump(lua_State *L, lpool_executor *executor);

/*
 * The same of all executors of a host, to its log: for a signal, or a thread
 * that watches. Without serial ones, which run in the thread that submits.
 * Any thread but a worker's, and no signal handler. 0, LPOOL_ENOMEM,
 * LPOOL_EINVALID.
 */
LPOOL_API int lpool_dump(lpool *host);

/*
 * Wait until a closed executor's workers have ended. As lpool_future_wait;
 * LPOOL_EINVALID if L is one of its workers. [-0, +0, e]
 */
LPOOL_API int lpool_executor_join(lua_State *L, lpool_executor *executor,
                                  int64_t timeout);

/* How tasks are to be run. All zeroes, or NULL, is as the executor says. */
typedef struct lpool_task_options {
    const char *label; /* a name for people, copied; NULL: none */
    int64_t timeout;   /* nanoseconds from the start of a task; 0: no other */
    unsigned retries;  /* how often it runs again after an error or a death */
    int64_t priority;  /* higher ones run first */
} lpool_task_options;

/*
 * Submit the function below the nargs values on top. [-(nargs+1), +0, e] on
 * success: a future that the caller owns. LPOOL_EUNSENDABLE: [-(nargs+1),
 * +1, e], the text says what cannot cross. Otherwise LPOOL_ECLOSED,
 * LPOOL_EBROKEN, LPOOL_ENOMEM, LPOOL_ECROWDED, LPOOL_ESYSTEM or
 * LPOOL_EINVALID: [-(nargs+1), +0, e]. LPOOL_EFULL: [-0, +0, e]. A submit that
 * waits for room fails and raises as lpool_future_wait; one by a worker of the
 * executor does not wait, and goes past the limit.
 */
LPOOL_API int lpool_submit(lua_State *L, lpool_executor *executor, int nargs,
                           const lpool_task_options *options,
                           lpool_future **future);

/*
 * The same for a chunk of source, which the nargs values on top are passed
 * to; name is what messages call it ("=name", "@file"), or NULL. Stack as
 * lpool_submit's without the function; LPOOL_EFAILED: [-nargs, +1, e], it
 * does not compile, and the text says why.
 */
LPOOL_API int lpool_submit_source(lua_State *L, lpool_executor *executor,
                                  const char *source, size_t length,
                                  const char *name, int nargs,
                                  const lpool_task_options *options,
                                  lpool_future **future);

/*
 * The same for require(module)[function], looked up in the worker, along L's
 * package.path and package.cpath. The way to have C functions run by process
 * pools: put them into a module, or let open_state make one.
 */
LPOOL_API int lpool_submit_named(lua_State *L, lpool_executor *executor,
                                 const char *module, const char *function,
                                 int nargs, const lpool_task_options *options,
                                 lpool_future **future);

/* A C function as a task; what it returns is the result, an integer. */
typedef int64_t (*lpool_function)(void *data);

/*
 * The same for a C function that has nothing to do with Lua. On success it
 * takes data: release, if it is not NULL, is called once, by any thread, when
 * function has run or never will. [-0, +0, e] LPOOL_EUNSENDABLE for a process
 * pool, [-0, +1, e], with the text: pointers mean nothing there.
 */
LPOOL_API int lpool_submit_c(lua_State *L, lpool_executor *executor,
                             lpool_function function, void *data,
                             void (*release)(void *data),
                             const lpool_task_options *options,
                             lpool_future **future);

/*
 * Submit to each of all workers, started if they are not; futures has room
 * for max_workers. Stack and results as lpool_submit; whatever the status, the
 * first *count futures are the caller's.
 */
LPOOL_API int lpool_broadcast(lua_State *L, lpool_executor *executor, int nargs,
                              const lpool_task_options *options,
                              lpool_future **futures, unsigned *count);

/*
 * An executor of the serial kind with workers as those of executor, for L to
 * run what that has no room for. The caller owns the reference it is given.
 * 0, LPOOL_ENOMEM. [-0, +0, e]
 */
LPOOL_API int lpool_executor_stand_in(lua_State *L, lpool_executor *executor,
                                      lpool_executor **stand_in);

/* ---- futures ---- */

typedef enum lpool_state {
    LPOOL_PENDING = 0,
    LPOOL_RUNNING,
    LPOOL_FINISHED,
    LPOOL_FAILED,
    LPOOL_CANCELLED
} lpool_state;

LPOOL_API void lpool_future_retain(lpool_future *future);
LPOOL_API void lpool_future_release(lpool_future *future);

LPOOL_API lpool_state lpool_future_state(const lpool_future *future);

/* True if it is cancelled: now, since it was pending, or before. */
LPOOL_API bool lpool_future_cancel(lpool_future *future);

/*
 * Cancel it if it is pending; if it is running, stop it: true unless it had
 * ended. Returns at once. Any thread.
 */
LPOOL_API bool lpool_future_interrupt(lpool_future *future);

/*
 * Wait for its end. 0, LPOOL_ETIMEOUT, LPOOL_ENOMEM; LPOOL_EDEADLOCK in a
 * task, if all workers wait for each other. Raises "interrupted!" after
 * lpool_interrupt, and what a debug hook raises that a signal handler has set;
 * other signals do not end a wait. Calls the functions of lpool_future_on_done
 * meanwhile. [-0, +0, e]
 */
LPOOL_API int lpool_future_wait(lua_State *L, lpool_future *future,
                                int64_t timeout);

/*
 * Push what a future that has ended came to. 0: [-0, +*count, e], the
 * results. LPOOL_EFAILED: [-0, +2, e], the error and the worker's traceback
 * (a string); also for a cancelled future. The failure counts as looked at.
 */
LPOOL_API int lpool_future_push(lua_State *L, lpool_future *future, int *count);

/*
 * Report on the log if the future failed and nobody looked at how: for when
 * its last reference in L goes. [-0, +0, -]
 */
LPOOL_API void lpool_report(lua_State *L, lpool_future *future);

/*
 * As lpool_future_release; before the last release lpool_report and
 * lpool_future_forget. [-0, +0, -]
 */
LPOOL_API void lpool_future_drop(lua_State *L, lpool_future *future);

/* The type of the first result or of the error, for display. [-0, +0, e] */
LPOOL_API const char *lpool_future_outcome_type(lua_State *L,
                                                const lpool_future *future);

/*
 * The number by which messages call its task, from 1 on; no other of the host
 * has it before 2^32 were submitted. And its label; NULL: it has none.
 */
LPOOL_API uint64_t lpool_future_number(const lpool_future *future);
LPOOL_API const char *lpool_future_label(const lpool_future *future);

/* The worker that ran it, copied to name; false if none has. */
LPOOL_API bool lpool_future_worker(const lpool_future *future, char *name,
                                   size_t size);

/* The process of that worker; 0 if it has not been run. */
LPOOL_API int lpool_future_pid(const lpool_future *future);

/*
 * Have the function on top called with the value below it when the future
 * has ended, in L, when it next waits or dispatches. 0: [-2, +0, e].
 */
LPOOL_API int lpool_future_on_done(lua_State *L, lpool_future *future);

/*
 * A future that no worker completes; it keeps the very values that it is set
 * to, in L, which alone may use it. LPOOL_EINVALID from the setters if it has
 * ended; on success set_result takes count values off the stack, set_error
 * the one on top. forget lets go of the values, before the last release.
 * [-?, +0, e]
 */
LPOOL_API int lpool_future_new(lua_State *L, lpool_future **future);
LPOOL_API bool lpool_future_is_manual(const lpool_future *future);
LPOOL_API int lpool_future_set_running(lpool_future *future);
LPOOL_API int lpool_future_set_result(lua_State *L, lpool_future *future,
                                      int count);
LPOOL_API int lpool_future_set_error(lua_State *L, lpool_future *future);
LPOOL_API void lpool_future_forget(lua_State *L, lpool_future *future);

/* ---- many futures ---- */

/*
 * Wait until one of count futures has ended; *which is the index of the
 * first to be known. As lpool_future_wait; LPOOL_EINVALID if count is 0.
 * Waits for the same futures again and again are what lpool_waiter is for.
 */
LPOOL_API int lpool_wait_any(lua_State *L, lpool_future *const *futures,
                             size_t count, int64_t timeout, size_t *which);

/* Wait until all have ended, for timeout altogether. As lpool_future_wait. */
LPOOL_API int lpool_wait_all(lua_State *L, lpool_future *const *futures,
                             size_t count, int64_t timeout);

/* A waiter for futures, to be used by L's thread. 0 or LPOOL_ENOMEM. */
LPOOL_API int lpool_waiter_open(lua_State *L, lpool_waiter **waiter);
LPOOL_API void lpool_waiter_close(lpool_waiter *waiter);

/*
 * Wait for this one too. Shares the future. tag is the caller's own, and
 * comes back with the future. 0 or LPOOL_ENOMEM.
 */
LPOOL_API int lpool_waiter_add(lpool_waiter *waiter, lpool_future *future,
                               size_t tag);

/*
 * The next one to have ended: those that had ended when they were added
 * first, in the order of their ends. The future is borrowed, and valid while
 * the caller has a reference of his own, or until the next call; future or tag
 * may be NULL. LPOOL_EINVALID when none is left; else as lpool_future_wait.
 * [-0, +0, e]
 */
LPOOL_API int lpool_waiter_next(lua_State *L, lpool_waiter *waiter,
                                int64_t timeout, lpool_future **future,
                                size_t *tag);

/* ---- maps ---- */

typedef struct lpool_map_config {
    size_t size;    /* sizeof(lpool_map_config) */
    unsigned chunk; /* items a worker takes at a time; 0: by their cost */
    bool ordered;   /* results in the order of the items */
    unsigned level; /* on the stack, of the call that errors name; 0: 1, the
                       function that called */
    lpool_task_options options; /* of each item; the label is the map's */
} lpool_map_config;

/*
 * Begin a map of the function on top. [-1, +0, e] on success; errors as
 * lpool_submit.
 */
LPOOL_API int lpool_map_open(lua_State *L, lpool_executor *executor,
                             const lpool_map_config *config, lpool_map **map);

/*
 * End the map: it has no more results. What has not begun is cancelled, or
 * runs all the same. May be called at any time, and twice.
 */
LPOOL_API void lpool_map_close(lpool_map *map, bool cancel);

/* Free the map, closed or not. NULL is allowed. */
LPOOL_API void lpool_map_free(lpool_map *map);

/* Submit the numbers first, first + step, ...: count of them. */
LPOOL_API int lpool_map_add_range(lpool_map *map, int64_t first, int64_t step,
                                  uint64_t count);

/*
 * Submit elements from to last of the table at index: each is the argument,
 * or, if spread, a table of arguments (its n counts if present). [-0, +0, e];
 * LPOOL_EUNSENDABLE: [-0, +1, e]. Items before a bad one are not submitted.
 */
LPOOL_API int lpool_map_add_list(lua_State *L, lpool_map *map, int index,
                                 int64_t first, int64_t last, bool spread);

/* Add the nargs values on top as one item. Stack as lpool_submit's. */
LPOOL_API int lpool_map_add(lua_State *L, lpool_map *map, int nargs);

/* Submit what lpool_map_add has gathered. */
LPOOL_API int lpool_map_flush(lpool_map *map);

/* Items submitted or gathered whose results were not yet taken. */
LPOOL_API uint64_t lpool_map_pending(const lpool_map *map);

/* Whether next would have to wait. */
LPOOL_API bool lpool_map_is_ready(lpool_map *map);

/*
 * The results of the next item, whose number, from 1, goes to *number. 0:
 * [-0, +*count, e]; *number is 0 when all were taken. LPOOL_EFAILED: [-0,
 * +2, e], the item's error and traceback; the map goes on with the next
 * item. LPOOL_ENOMEM: results are there, and no memory for them now.
 * Otherwise as lpool_future_wait.
 */
LPOOL_API int lpool_map_next(lua_State *L, lpool_map *map, int64_t timeout,
                             uint64_t *number, int *count);

/*
 * The results of the next items at once, as many as there are in a row that
 * lpool_map_next could give without a wait and that are one integer each, up
 * to room of them; *number is that of the first. How many: 0 says nothing,
 * and lpool_map_next says why. On the thread of the map's state.
 */
LPOOL_API size_t lpool_map_take_integers(lpool_map *map, int64_t *values,
                                         size_t room, uint64_t *number);

/* ---- shared objects ---- */

/*
 * Objects that tasks share: they can be among what is submitted to threads,
 * processes and serial executors, and are the same there. What goes into a
 * channel or a dict is copied, and copied again when it comes out. An object
 * lives while somebody refers to it; pools within pools share it too. The
 * functions without a lua_State may be called by any thread; those with one
 * return LPOOL_EINVALID for an object of another host than the state's.
 *
 * In the process of a worker, channels and dicts ask the host that made the
 * pool: LPOOL_ECLOSED if that is gone.
 */
typedef struct lpool_object lpool_object;

typedef enum lpool_object_kind {
    LPOOL_CHANNEL = 1,
    LPOOL_COUNTER,
    LPOOL_DICT,
    LPOOL_BUFFER
} lpool_object_kind;

/* Release with lpool_object_release; NULL is allowed there. */
LPOOL_API void lpool_object_retain(lpool_object *object);
LPOOL_API void lpool_object_release(lpool_object *object);
LPOOL_API lpool_object_kind lpool_object_kind_of(const lpool_object *object);

/*
 * Push a userdata for an object, retained: its memory is one pointer to it.
 * [-0, +1, e] The object of this kind at index; NULL if it is none. [-0, +0, -]
 */
LPOOL_API void lpool_push_object(lua_State *L, lpool_object *object);
LPOOL_API lpool_object *lpool_test_object(lua_State *L, int index,
                                          lpool_object_kind kind);

/*
 * The names of their metatables, in the registry, and of the function there
 * that makes these metatables when the first object comes.
 */
#define LPOOL_OBJECTS_OPENER "lpool.open_objects"
#define LPOOL_CHANNEL_TYPE   "lpool.channel"
#define LPOOL_COUNTER_TYPE   "lpool.counter"
#define LPOOL_DICT_TYPE      "lpool.dict"
#define LPOOL_BUFFER_TYPE    "lpool.buffer"

/* A channel of so many messages at most; 0: no limit. 0 or an error. */
LPOOL_API int lpool_channel_open(lua_State *L, uint64_t capacity,
                                 lpool_object **channel);

/*
 * Send the value on top. [-1, +0, e]; LPOOL_EUNSENDABLE: [-1, +1, e], the text
 * says what cannot cross. LPOOL_ECLOSED: the channel is closed;
 * LPOOL_ETIMEOUT: it was full all the time. May run callbacks.
 */
LPOOL_API int lpool_channel_send(lua_State *L, lpool_object *channel,
                                 int64_t timeout);

/*
 * Receive a value. [-0, +1, e] on success; LPOOL_ECLOSED: the channel is
 * closed, and nothing is left in it; LPOOL_ETIMEOUT: it was empty all the
 * time; LPOOL_EFAILED: [-0, +1, e], the value cannot be read here, and why.
 * May run callbacks.
 */
LPOOL_API int lpool_channel_receive(lua_State *L, lpool_object *channel,
                                    int64_t timeout);

/* Nothing can be sent any more. May be called twice. 0 or an error. */
LPOOL_API int lpool_channel_close(lpool_object *channel);

/* Messages in it. */
LPOOL_API uint64_t lpool_channel_count(const lpool_object *channel);

/* A 64-bit integer that all change as one. 0 or an error. */
LPOOL_API int lpool_counter_open(lua_State *L, int64_t value,
                                 lpool_object **counter);
LPOOL_API int64_t lpool_counter_add(lpool_object *counter, int64_t n);
LPOOL_API int64_t lpool_counter_get(const lpool_object *counter);
LPOOL_API void lpool_counter_set(lpool_object *counter, int64_t value);

/* Set it to wanted if it is expected: true, or false. */
LPOOL_API bool lpool_counter_swap(lpool_object *counter, int64_t expected,
                                  int64_t wanted);

/* A dict. Its keys are strings, numbers and booleans. 0 or an error. */
LPOOL_API int lpool_dict_open(lua_State *L, lpool_object **dict);

/* Whether the value at index can be a key. */
LPOOL_API bool lpool_dict_is_key(lua_State *L, int index);

/*
 * The value of the key on top, or nil. [-1, +1, e]; LPOOL_EINVALID: it is no
 * key [-1, +0, e]; LPOOL_EFAILED: [-1, +1, e], the value cannot be read here.
 */
LPOOL_API int lpool_dict_get(lua_State *L, lpool_object *dict);

/*
 * Set the value on top for the key below it; nil removes it. [-2, +0, e];
 * LPOOL_EUNSENDABLE: [-2, +1, e].
 */
LPOOL_API int lpool_dict_set(lua_State *L, lpool_object *dict);

/*
 * Set the value of the key below the function on top to what the function
 * makes of its value: [-2, +1, e], the new value. It is called again if
 * somebody else changes the value meanwhile; LPOOL_EDEADLOCK if it changes the
 * value of the key itself. Other results as get and set.
 */
LPOOL_API int lpool_dict_update(lua_State *L, lpool_object *dict);

/* Push a table with what is in it now. [-0, +1, e]; LPOOL_EFAILED as get. */
LPOOL_API int lpool_dict_copy(lua_State *L, lpool_object *dict);

typedef enum lpool_number {
    LPOOL_U8,
    LPOOL_I32,
    LPOOL_I64,
    LPOOL_F32,
    LPOOL_F64
} lpool_number;

/*
 * So many numbers of a type, all 0, in memory that all processes map. 0, or
 * LPOOL_ENOMEM.
 */
LPOOL_API int lpool_buffer_open(lua_State *L, lpool_number type, uint64_t count,
                                lpool_object **buffer);

/*
 * The numbers themselves, valid as long as the object; others may write them
 * at the same time. type and count may be NULL.
 */
LPOOL_API void *lpool_buffer_numbers(lpool_object *buffer, lpool_number *type,
                                     uint64_t *count);

/* ---- Lua ---- */

/* Make the Lua modules that are compiled in known to package.preload. */
LPOOL_API void lpool_open_modules(lua_State *L);

/* Replace print and io.write by ones that put out whole lines. */
LPOOL_API void lpool_open_console(lua_State *L);

/*
 * Push a userdata for an executor or a future; retained. Its memory begins
 * with a pointer to it; an executor's has user values. [-0, +1, e]
 */
LPOOL_API void lpool_push_executor(lua_State *L, lpool_executor *executor);
LPOOL_API void lpool_push_future(lua_State *L, lpool_future *future);

/*
 * The same for a future whose reference is given, with the metatable at that
 * index: for modules, whose metatable has lpool_future_drop as its finalizer
 * if futures in L need one. In states of lpool_newstate and of workers they
 * do not: there the future is dropped when Lua frees the userdata, or at L's
 * next use of lpool if it takes Lua to say that it failed.
 * [-0, +1, e]
 */
LPOOL_API void lpool_box_future(lua_State *L, lpool_future *future,
                                int metatable);
LPOOL_API bool lpool_needs_finalizer(lua_State *L);

/*
 * What is in such a userdata, which is nothing any more after it: for
 * finalizers, which then release it. NULL the second time. [-0, +0, -]
 */
LPOOL_API void *lpool_unbox(lua_State *L, int index);

/* The executor or future at index; NULL if it is none. [-0, +0, -] */
LPOOL_API lpool_executor *lpool_test_executor(lua_State *L, int index);
LPOOL_API lpool_future *lpool_test_future(lua_State *L, int index);

/* The names of their metatables, in the registry. */
#define LPOOL_EXECUTOR_TYPE "lpool.executor"
#define LPOOL_FUTURE_TYPE   "lpool.future"

/* Push an error object of this kind, such as "TimeoutError". [-0, +1, e] */
LPOOL_API void lpool_push_error(lua_State *L, const char *kind,
                                const char *message);

/* Push the metatable of error objects. [-0, +1, e] */
LPOOL_API void lpool_push_error_metatable(lua_State *L);

/*
 * Remember the error value at index as one that came with the traceback on
 * top, for lpool_push_traceback. [-1, +0, e]
 */
LPOOL_API void lpool_keep_traceback(lua_State *L, int index);

/*
 * A state as luaL_newstate makes it, with memory of its own that is faster
 * than malloc's: small blocks without headers or locks. NULL: no memory. Any
 * thread. End it with lpool_closestate, on the thread that uses it: as
 * lua_close, and gives the memory back. A state that lpool_newstate did not
 * make is closed by it just as well. NULL is allowed.
 */
LPOOL_API lua_State *lpool_newstate(void);
LPOOL_API void lpool_closestate(lua_State *L);

/*
 * Make `require "lpool"` work in L, as the lpool program does: the module
 * and its parts become known to package.preload, and print and io.write
 * put out whole lines, never torn by those of other threads. [-0, +0, e]
 */
LPOOL_API void lpool_openlibs(lua_State *L);

/* Let worker states have the module lpool: what luaopen_lpool_core uses. */
LPOOL_API void lpool_config_lua(lpool_config *config);

/*
 * Let lpool_interrupt work for L, before it is attached: takes the memory of
 * lua_getextraspace of its main thread. [-0, +0, e]
 */
LPOOL_API void lpool_open_interrupt(lua_State *L);

/*
 * End the wait in lpool that the thread of main state L is in with the error
 * "interrupted!", and return true; false, and nothing has happened, if it is
 * in none. For signal handlers that run on that thread: async-signal-safe.
 * L was given to lpool_open_interrupt or lpool_openlibs before.
 */
LPOOL_API bool lpool_interrupt(lua_State *L);

/*
 * Whether the value at index is the error of an interrupt: a text that ends
 * with "interrupted!", with or without a place before it. [-0, +0, -]
 */
LPOOL_API bool lpool_is_interrupt(lua_State *L, int index);

/*
 * Push the traceback of the worker in which the error value at index was
 * raised, or nil if it did not come out of a future. [-0, +1, m]
 */
LPOOL_API void lpool_push_traceback(lua_State *L, int index);

/* The module lpool.core. [-0, +1, e] */
LPOOL_API int luaopen_lpool_core(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
