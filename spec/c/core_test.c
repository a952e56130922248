/*
 * core_test.c - the concurrent half without Lua, so that the thread
 * sanitizer sees every access.
 *
 * Workers here are threads whose kind adds up the bytes of a parcel, or
 * doubles the items of a group. Several submitters, cancellers and waiters
 * race with them.
 */
#include "check.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "core/executor_private.h"
#include "core/mailbox.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int tests;

/* ---- workers that need no Lua ---- */

#define MOST_WORKERS 4u

typedef struct crew {
    lp_executor *executor;
    lp_lock lock;
    lp_list hands; /* started and not yet joined */
    uint64_t left; /* tasks of each worker; 0: any */
} crew;

typedef struct hand {
    lp_list in_team;
    lp_thread thread;
    crew *team;
    lp_worker loop;
    uint64_t sum;
    int64_t results[4096];
    size_t result_count;
    const lp_items *items;
    uint32_t next;
} hand;

/* A task of this one byte waits for this lock. */
#define HOLD 255
static lp_lock held;

static void execute(void *self, const lp_job *job, lp_outcome *outcome)
{
    hand *worker = self;
    if (job->length == 1 && job->bytes[0] == HOLD) {
        lp_lock_enter(&held);
        lp_lock_leave(&held);
    }
    worker->sum = 0;
    for (size_t i = 0; i < job->length; i++)
        worker->sum += job->bytes[i];
    outcome->phase = LP_FINISHED;
    outcome->bytes = (const uint8_t *)&worker->sum;
    outcome->length = sizeof(worker->sum);
}

static void begin_items(void *self, const lp_items *items, uint32_t first,
                        lp_progress *progress)
{
    (void)progress;
    hand *worker = self;
    worker->items = items;
    worker->next = first;
    worker->result_count = 0;
}

static void run_items(void *self, uint32_t count)
{
    hand *worker = self;
    for (uint32_t i = 0; i < count; i++) {
        int64_t item = worker->items->first + (int64_t)worker->next++;
        /* What does not fit is missed by the test, which has fewer items. */
        if (worker->result_count < 4096)
            worker->results[worker->result_count++] = 2 * item;
    }
}

static void end_items(void *self, lp_items_outcome *outcome)
{
    hand *worker = self;
    outcome->bytes = (const uint8_t *)worker->results;
    outcome->length = worker->result_count * sizeof(int64_t);
    outcome->form = LP_FORM_INTEGERS;
}

static void recover(void *self)
{
    (void)self; /* nothing here is ever stopped */
}

static const lp_worker_kind adding = {execute, begin_items, run_items,
                                      end_items, recover};

static void *work(void *argument)
{
    hand *worker = argument;
    crew *team = worker->team;
    uint32_t number = worker->loop.number;
    lp_end end = lp_worker_run(&worker->loop);
    lp_executor_worker_ended(team->executor, number, end);
    return NULL;
}

static int start(void *self, uint32_t number)
{
    crew *team = self;
    hand *worker = calloc(1, sizeof(*worker));
    if (!worker) return LP_NOMEM;
    worker->team = team;
    lp_worker_init(&worker->loop, lp_executor_control(team->executor), number);
    worker->loop.arena = lp_executor_worker_arena(team->executor, number);
    worker->loop.outcomes =
        lp_executor_arena(team->executor, worker->loop.arena);
    worker->loop.kind = &adding;
    worker->loop.self = worker;
    if (team->left > 0) worker->loop.left = team->left;
    lp_lock_enter(&team->lock);
    lp_list_append(&team->hands, &worker->in_team);
    int status = lp_thread_start(&worker->thread, work, worker);
    lp_lock_leave(&team->lock);
    return status;
}

static void join(void *self)
{
    crew *team = self;
    for (;;) {
        hand *worker = NULL;
        lp_lock_enter(&team->lock);
        if (!lp_list_is_empty(&team->hands)) {
            worker = LP_LIST_ENTRY(team->hands.next, hand, in_team);
            lp_list_remove(&worker->in_team);
        }
        lp_lock_leave(&team->lock);
        if (!worker) return;
        lp_thread_join(&worker->thread);
        free(worker);
    }
}

static void free_crew(void *self)
{
    free(self);
}

static const lp_executor_kind kind = {
    .start = start, .join = join, .free = free_crew};

/* Whether executors lie in memory files, as for processes. */
static bool shared;

/* The limit of pending tasks of the executors to open; 0: none. */
static uint32_t max_queue;

static lp_executor *open_executor(lp_host *host, uint32_t workers,
                                  uint64_t left)
{
    crew *team = calloc(1, sizeof(*team));
    const lp_executor_config config = {.host = host,
                                       .kind = &kind,
                                       .self = team,
                                       .max_workers = workers,
                                       .max_queue = max_queue,
                                       .is_shared = shared};
    lp_executor *executor = NULL;
    lp_lock_init(&team->lock, LP_RANK_WORKERS);
    lp_list_init(&team->hands);
    CHECK(team && lp_executor_open(&config, &executor) == LP_OK);
    team->executor = executor;
    team->left = left;
    return executor;
}

/* Wait until all executors of the host are gone, and close it. */
static void close_host(lp_host *host)
{
    for (;;) {
        uint32_t heard = lp_bell_listen(host->bell);
        lp_host_collect(host, NULL, NULL);
        lp_host_reap(host);
        lp_lock_enter(&host->lock);
        bool empty = lp_list_is_empty(&host->executors);
        lp_lock_leave(&host->lock);
        if (empty) break;
        CHECK(lp_bell_sleep(host->bell, heard,
                            lp_clock_after(INT64_C(60000000000))) !=
              LP_TIMEOUT);
        if (failures) exit(1);
    }
    lp_host_clear(host);
}

/* ---- submitting ---- */

/* Wait until one task more may be pending. */
static void await_room(lp_executor *executor)
{
    lp_bell *bell = lp_executor_host(executor)->bell;
    for (;;) {
        uint32_t heard = lp_bell_listen(bell);
        if (lp_executor_ask_for_room(executor) == LP_OK) return;
        CHECK(
            lp_bell_sleep(bell, heard, lp_clock_after(INT64_C(60000000000))) !=
            LP_TIMEOUT);
        if (failures) exit(1);
    }
}

static lp_task *submit_at(lp_executor *executor, int64_t priority, uint8_t byte,
                          size_t length)
{
    const lp_task_about about = {.priority = priority};
    lp_buffer parcel;
    lp_task *task = NULL;
    int status;
    lp_buffer_init(&parcel, NULL);
    CHECK(lp_buffer_reserve(&parcel, length) == LP_OK);
    memset(parcel.bytes, byte, length);
    parcel.length = length;
    while ((status = lp_executor_submit(executor, &parcel, &about, &task)) ==
           LP_FULL)
        await_room(executor);
    CHECK(status == LP_OK);
    lp_buffer_clear(&parcel);
    return task;
}

static lp_task *submit(lp_executor *executor, uint8_t byte, size_t length)
{
    return submit_at(executor, 0, byte, length);
}

static void await(lp_task *task)
{
    uint32_t expected;
    while (lp_task_listen(task, &expected))
        (void)lp_park(&task->cell->state, expected, LP_NEVER);
}

static uint64_t outcome_of(lp_task *task)
{
    uint64_t sum = 0;
    size_t length;
    const uint8_t *bytes = lp_task_outcome(task, &length);
    CHECK(length == sizeof(sum));
    if (length == sizeof(sum)) memcpy(&sum, bytes, sizeof(sum));
    return sum;
}

#define SUBMITTERS 3
#define TASKS      4000

/* Submitters use so many. */
static int priorities;

/* Submit, take the result of some, drop others at once, cancel a few. */
static void *submitter(void *argument)
{
    lp_executor *executor = argument;
    for (int i = 0; i < TASKS; i++) {
        size_t length = i % 50 == 0 ? 5000 : 7;
        uint8_t byte = (uint8_t)(i % 200);
        lp_task *task = submit_at(
            executor, priorities > 1 ? i % priorities - priorities / 2 : 0,
            byte, length);
        if (i % 3 == 0) {
            lp_task_release(task);
            continue;
        }
        if (i % 3 == 1 && lp_task_cancel(task)) {
            CHECK((lp_task_state(task) & LP_PHASE) == LP_CANCELLED);
        } else {
            await(task);
            CHECK((lp_task_state(task) & LP_PHASE) == LP_FINISHED);
            CHECK(outcome_of(task) == (uint64_t)byte * length);
        }
        lp_task_release(task);
        lp_host_collect(lp_executor_host(executor), NULL, NULL);
    }
    return NULL;
}

static void race(uint64_t left)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executor = open_executor(&host, MOST_WORKERS, left);
    lp_thread threads[SUBMITTERS];
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK(lp_thread_start(&threads[i], submitter, executor) == LP_OK);
    for (int i = 0; i < SUBMITTERS; i++)
        lp_thread_join(&threads[i]);
    lp_executor_release(executor);
    close_host(&host);
}

static void test_race(void)
{
    race(0);
}

static void test_race_with_workers_that_retire(void)
{
    race(7);
}

static void test_race_with_priorities(void)
{
    priorities = 11;
    race(0);
    race(5);
    priorities = 0;
}

static void test_race_with_a_limit(void)
{
    for (uint32_t limit = 1; limit < 40; limit += 19) {
        max_queue = limit;
        race(0);
        priorities = 3;
        race(7);
        priorities = 0;
    }
    max_queue = 0;
}

static void test_queue_grows_while_it_is_emptied(void)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executor = open_executor(&host, 2, 0);
    static lp_task *tasks[20000];
    for (int i = 0; i < 20000; i++)
        tasks[i] = submit(executor, 1, 3);
    for (int i = 0; i < 20000; i++) {
        await(tasks[i]);
        CHECK(outcome_of(tasks[i]) == 3);
        lp_task_release(tasks[i]);
    }
    lp_executor_release(executor);
    close_host(&host);
}

/* ---- levels ---- */

/* An executor's control, and another view of it as another process has it. */
typedef struct views {
    lp_bell bell;
    lp_memory_files files, other_files;
    lp_control putter, taker;
    lp_control *takes; /* the other view, if there is one */
} views;

static void open_views(views *both)
{
    memset(both, 0, sizeof(*both));
    both->takes = &both->putter;
    if (shared) CHECK(lp_memory_files_make(&both->files) == LP_OK);
    CHECK(lp_control_make(&both->putter, shared ? &both->files : NULL,
                          &both->bell, NULL) == LP_OK);
    if (!shared) return;
    lp_shm_init(&both->other_files.host);
    CHECK(lp_memory_files_open(&both->other_files,
                               lp_shm_reader(&both->files.host),
                               dup(both->files.words.fd)) == LP_OK);
    CHECK(lp_control_attach(&both->taker, &both->other_files, &both->bell,
                            NULL) == LP_OK);
    both->takes = &both->taker;
}

static void close_views(views *both)
{
    if (shared) {
        lp_control_clear(&both->taker, &both->other_files);
        lp_memory_files_clear(&both->other_files);
    }
    lp_control_clear(&both->putter, shared ? &both->files : NULL);
    if (shared) lp_memory_files_clear(&both->files);
}

/* The next entry; UINT32_MAX: none. */
static uint32_t take_entry(lp_levels *levels)
{
    uint64_t position;
    uint32_t entry;
    for (;;) {
        lp_queue *queue = lp_levels_first(levels);
        if (!queue) return UINT32_MAX;
        if (lp_queue_take(queue, &entry, 1, &position) > 0) return entry;
    }
}

static uint32_t visited;

static void visit_entry(void *unused, uint32_t entry)
{
    (void)unused;
    visited += entry;
}

static void test_levels(void)
{
    views both;
    open_views(&both);
    lp_levels *levels = &both.putter.levels, *taken = &both.takes->levels;
    static const int64_t order[] = {INT64_MAX, 7, 0, -3, INT64_MIN};
    static const int made[] = {2, 3, 0, 4, 1}; /* in this order */
    enum { EACH = 1000 };
    uint32_t sum = 0;
    CHECK(take_entry(taken) == UINT32_MAX);
    for (uint32_t i = 0; i < 5 * EACH; i++) {
        int which = made[i % 5];
        uint32_t entry = (uint32_t)which * EACH + i / 5;
        CHECK(lp_levels_put(levels, order[which], entry) == LP_OK);
        sum += entry;
    }
    CHECK(lp_levels_length(taken) == 5 * EACH);
    lp_levels_each(levels, visit_entry, NULL);
    CHECK(visited == sum);
    visited = 0;
    for (uint32_t i = 0; i < 5 * EACH; i++)
        CHECK(take_entry(taken) == i);
    CHECK(take_entry(taken) == UINT32_MAX);
    CHECK(lp_levels_length(taken) == 0);
    close_views(&both);
}

static void test_levels_are_limited(void)
{
    views both;
    open_views(&both);
    lp_levels *levels = &both.putter.levels, *taken = &both.takes->levels;
    for (uint32_t i = 1; i < LP_LEVELS; i++)
        CHECK(lp_levels_put(levels, i, i) == LP_OK);
    CHECK(lp_levels_put(levels, -1, 0) == LP_CROWDED);
    CHECK(lp_levels_put(levels, 0, 0) == LP_OK);
    CHECK(lp_levels_put(levels, 5, 5) == LP_OK);
    CHECK(lp_levels_length(taken) == LP_LEVELS + 1);
    /* An empty one serves another priority. */
    CHECK(take_entry(taken) == LP_LEVELS - 1);
    CHECK(lp_levels_put(levels, -1, 99) == LP_OK);
    CHECK(lp_levels_put(levels, 1000, 98) == LP_CROWDED);
    CHECK(take_entry(taken) == LP_LEVELS - 2);
    CHECK(lp_levels_put(levels, 1000, 98) == LP_OK);
    CHECK(take_entry(taken) == 98);
    for (uint32_t i = LP_LEVELS - 3; i > 0; i--) {
        CHECK(take_entry(taken) == i);
        if (i == 5) CHECK(take_entry(taken) == 5);
    }
    CHECK(take_entry(taken) == 0);
    CHECK(take_entry(taken) == 99);
    CHECK(take_entry(taken) == UINT32_MAX);
    /* Times as priorities: always other ones. */
    for (uint32_t i = 0; i < 10000; i++) {
        CHECK(lp_levels_put(levels, (int64_t)i * 1000003 % 7919, i) == LP_OK);
        if (i >= 20) CHECK(take_entry(taken) != UINT32_MAX);
    }
    CHECK(lp_levels_length(taken) == 20);
    close_views(&both);
}

#define ENTRIES 60000u

typedef struct racing {
    views *both;
    _Atomic uint32_t taken[ENTRIES];
    _Atomic bool over;
} racing;

static void *taker(void *argument)
{
    racing *work = argument;
    lp_levels *levels = &work->both->putter.levels;
    for (;;) {
        bool over = atomic_load(&work->over);
        uint64_t length = lp_levels_length(levels);
        uint32_t entry = take_entry(levels);
        if (entry < ENTRIES) {
            atomic_fetch_add(&work->taken[entry], 1);
        } else if (over && length == 0) {
            return NULL;
        }
    }
}

/* Priorities come and go, so that levels are used again. */
static void test_levels_race(void)
{
    static racing work;
    views both;
    open_views(&both);
    memset(&work, 0, sizeof(work));
    work.both = &both;
    lp_thread threads[3];
    for (int i = 0; i < 3; i++)
        CHECK(lp_thread_start(&threads[i], taker, &work) == LP_OK);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        int64_t priority = i % 3 == 0 ? 0 : (int64_t)(i / 16) - 1000;
        int status;
        do {
            status = lp_levels_put(&both.putter.levels, priority, i);
            if (status == LP_CROWDED) (void)sched_yield();
        } while (status == LP_CROWDED);
        CHECK(status == LP_OK);
    }
    atomic_store(&work.over, true);
    for (int i = 0; i < 3; i++)
        lp_thread_join(&threads[i]);
    for (uint32_t i = 0; i < ENTRIES; i++)
        CHECK(atomic_load(&work.taken[i]) == 1);
    close_views(&both);
}

static void test_mailbox_gets_each_task_once(void)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executor = open_executor(&host, 3, 0);
    lp_mailbox mailbox;
    lp_mailbox_init(&mailbox, &host);
    enum { COUNT = 3000 };
    for (int i = 0; i < COUNT; i++) {
        lp_task *task = submit(executor, 1, 1);
        CHECK(lp_mailbox_expect(&mailbox, task, 0) == LP_OK);
        if (i % 5 == 0) (void)lp_task_cancel(task);
        lp_task_release(task);
    }
    int arrived = 0;
    while (arrived < COUNT) {
        uint32_t heard = lp_bell_listen(host.bell);
        lp_host_collect(&host, NULL, NULL);
        lp_task *task = lp_mailbox_take(&mailbox, NULL);
        if (task) {
            CHECK(lp_phase_is_done(lp_task_state(task)));
            lp_task_release(task);
            arrived++;
        } else {
            (void)lp_bell_sleep(host.bell, heard, LP_NEVER);
        }
    }
    CHECK(mailbox.count == 0);
    lp_mailbox_clear(&mailbox);
    lp_executor_release(executor);
    close_host(&host);
}

/* ---- the end of tasks ---- */

/* As a worker does that is out of its mind. */
static void post_and_collect(lp_host *host, lp_task *task)
{
    lp_control_post(&task->executor->control, task->number);
    lp_host_collect(host, NULL, NULL);
}

static bool differ(lp_task *const *tasks, int count)
{
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (tasks[i] == tasks[j]) return false;
    return true;
}

static void test_a_post_frees_nothing_that_somebody_has(void)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executor = open_executor(&host, 2, 0);
    enum { COUNT = 200 };
    lp_task *tasks[COUNT];
    lp_task_pile pile = {.count = 0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            tasks[i] = submit(executor, 2, 1 + (size_t)i);
        CHECK(differ(tasks, COUNT));
        for (int i = 0; i < COUNT && round > 0; i++) {
            await(tasks[i]);
            if (i % 3 == round) post_and_collect(&host, tasks[i]);
            CHECK(outcome_of(tasks[i]) == 2 * (1 + (uint64_t)i));
        }
        /* In the first round they are pending, run, or end right now. */
        for (int i = 0; i < COUNT; i++) {
            lp_task_release_later(tasks[i], &pile);
            if (i % 7 == 0) post_and_collect(&host, tasks[i]);
        }
        CHECK(pile.count <= LP_PILE);
        lp_task_pile_free(&pile);
        CHECK(pile.count == 0);
    }
    lp_executor_release(executor);
    close_host(&host);
}

/* Handles that are counted, not used. */
static int handles_held;

static void retain_handle(void *object)
{
    (void)object;
    handles_held++;
}

static void release_handle(void *object)
{
    (void)object;
    handles_held--;
}

static const struct lp_handle_kind counted = {
    .name = "counted", .retain = retain_handle, .release = release_handle};

static lp_task *submit_with_handle(lp_executor *executor)
{
    const lp_task_about about = {.label = NULL};
    lp_task *task = NULL;
    lp_buffer parcel;
    lp_buffer_init(&parcel, NULL);
    CHECK(lp_buffer_append(&parcel, "x", 1) == LP_OK);
    CHECK(lp_buffer_add_handle(&parcel, (lp_handle){&counted, NULL}) == LP_OK);
    CHECK(lp_executor_submit(executor, &parcel, &about, &task) == LP_OK);
    lp_buffer_clear(&parcel);
    return task;
}

static void test_a_pile_keeps_nothing_but_numbers(void)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executors[] = {open_executor(&host, 1, 0),
                                open_executor(&host, 1, 0)};
    lp_task_pile pile = {.count = 0};
    for (int i = 0; i < 300; i++) {
        lp_executor *executor = executors[i / 3 % 2];
        lp_task *task = submit(executor, 1, i % 5 == 0 ? 5000 : 1);
        await(task);
        uint32_t before = pile.count;
        lp_task_release_later(task, &pile);
        CHECK(i % 5 == 0
                  ? pile.count == before
                  : pile.count > 0 && pile.tasks[0]->executor == executor);
    }
    lp_task_pile_free(&pile);
    if (!shared) { /* processes get no handles */
        lp_task *task = submit_with_handle(executors[0]);
        await(task);
        CHECK(handles_held == 1);
        lp_task_release_later(task, &pile);
        CHECK(handles_held == 0 && pile.count == 0);
    }
    /* The last task of an executor that nobody has does not wait. */
    lp_task *last = submit(executors[1], 1, 1);
    await(last);
    lp_executor_close(executors[1], false);
    lp_executor_release(executors[1]);
    lp_task_release_later(last, &pile);
    CHECK(pile.count == 0);
    lp_executor_release(executors[0]);
    close_host(&host);
}

static void test_serial_numbers_are_of_one_task(void)
{
    enum { COUNT = 6000 };
    static bool given[2 * COUNT];
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executors[] = {open_executor(&host, 1, 0),
                                open_executor(&host, 1, 0)};
    memset(given, 0, sizeof(given));
    for (int i = 0; i < COUNT; i++) {
        lp_task *task = submit(executors[i % 3 == 0], 1, 1);
        uint32_t serial = lp_task_serial(task);
        CHECK(i >= 1000 || serial == (uint32_t)i + 1);
        CHECK(serial > 0 && serial < 2 * COUNT && !given[serial]);
        if (serial < 2 * COUNT) given[serial] = true;
        await(task);
        lp_task_release(task);
    }
    lp_executor_release(executors[0]);
    lp_executor_release(executors[1]);
    close_host(&host);
}

/* ---- groups ---- */

static uint32_t queue_range(lp_executor *executor, uint32_t count)
{
    uint32_t number = 0;
    const lp_group_content content = {.head = (const uint8_t *)"f",
                                      .head_length = 1};
    const lp_group_about about = {.origin = "core_test.c:1"};
    CHECK(lp_executor_new_group(executor, &about, &number) == LP_OK);
    lp_load *group = lp_executor_load(executor, number);
    group->form = LP_FORM_RANGE;
    group->first = 0;
    group->step = 1;
    group->chunk = 0;
    group->serial = 1;
    CHECK(lp_executor_fill_group(executor, number, &content) == LP_OK);
    CHECK(lp_executor_queue_group(executor, number, count, 0) == LP_OK);
    return number;
}

static uint8_t seen[512];

static int see(void *unused, const lp_taken *piece)
{
    const int64_t *results = (const int64_t *)(const void *)piece->bytes;
    (void)unused;
    CHECK(piece->form == LP_FORM_INTEGERS);
    CHECK(piece->length == piece->count * sizeof(int64_t));
    for (uint32_t i = 0; i < piece->count; i++) {
        CHECK(results[i] == 2 * (int64_t)(piece->first + i));
        seen[piece->first + i]++;
    }
    return LP_OK;
}

static void await_group(lp_executor *executor, uint32_t number)
{
    lp_group *group = lp_executor_group(executor, number);
    for (;;) {
        uint32_t state = atomic_fetch_or(&group->state, LP_WAITED) | LP_WAITED;
        CHECK(lp_executor_take_pieces(executor, number, see, NULL) == LP_OK);
        if (lp_executor_group_is_over(executor, number)) return;
        (void)lp_park(&group->state, state, LP_NEVER);
    }
}

static void test_group_gives_each_item_once(void)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executor = open_executor(&host, MOST_WORKERS, 0);
    for (int round = 0; round < 300; round++) {
        uint32_t count = 1 + (uint32_t)round % 400;
        uint32_t number = queue_range(executor, count);
        if (round % 7 == 0) {
            lp_executor_drop_group(executor, number, round % 2 == 0);
            continue;
        }
        memset(seen, 0, sizeof(seen));
        await_group(executor, number);
        for (uint32_t i = 0; i < count; i++)
            CHECK(seen[i] == 1);
        lp_executor_drop_group(executor, number, true);
    }
    lp_executor_release(executor);
    close_host(&host);
}

/* ---- workers that are out of their mind ---- */

/* A block of the host's arena, in which a piece seems to lie. */
static lp_place put_bait(lp_executor *executor)
{
    uint8_t bytes[1024];
    const lp_piece piece = {.count = 4, .form = LP_FORM_NOTHING};
    lp_place place = 0;
    memset(bytes, 0xff, sizeof(bytes));
    memcpy(bytes, &piece, sizeof(piece));
    memcpy(bytes + 512, &piece, sizeof(piece));
    CHECK(lp_executor_put(executor, bytes, sizeof(bytes), &place) == LP_OK);
    return place;
}

/* It was not dropped: nothing else is put there. */
static bool is_kept(lp_executor *executor, lp_place place)
{
    lp_place other = put_bait(executor);
    bool kept = other != place;
    if (kept) lp_executor_drop(executor, other);
    return kept;
}

static void test_no_worker_frees_blocks_of_the_host(void)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    lp_executor *executor = open_executor(&host, 1, 0);
    lp_place bait = put_bait(executor);
    const lp_place places[] = {bait, bait + 512, UINT64_MAX};
    for (int i = 0; i < 3; i++) {
        size_t length;
        lp_task *task = submit(executor, 1, 1);
        await(task);
        task->cell->length = 100;
        task->cell->arena = LP_HOST_ARENA;
        task->cell->at.outcome = places[i];
        CHECK(!lp_task_outcome(task, &length));
        lp_task_release(task);
        CHECK(is_kept(executor, bait));

        const lp_group_content content = {.head = (const uint8_t *)"f",
                                          .head_length = 1};
        const lp_group_about about = {.origin = NULL};
        uint32_t number;
        CHECK(lp_executor_new_group(executor, &about, &number) == LP_OK);
        CHECK(lp_executor_fill_group(executor, number, &content) == LP_OK);
        atomic_store(&lp_executor_load(executor, number)->count, 4);
        atomic_store(&lp_executor_group(executor, number)->pieces, places[i]);
        CHECK(lp_executor_take_pieces(executor, number, see, NULL) == LP_OK);
        CHECK(lp_executor_group_is_over(executor, number)); /* damaged */
        lp_executor_drop_group(executor, number, true);
        CHECK(is_kept(executor, bait));
    }
    lp_executor_drop(executor, bait);
    lp_executor_release(executor);
    close_host(&host);
}

/* ---- the end of an executor ---- */

static void test_stop_ends_every_task(void)
{
    for (int round = 0; round < 100; round++) {
        lp_host host;
        CHECK(lp_host_init(&host, NULL) == LP_OK);
        lp_executor *executor = open_executor(&host, 2, 0);
        lp_task *tasks[200];
        for (int i = 0; i < 200; i++)
            tasks[i] = submit(executor, 1, 1);
        if (round % 3 == 0) {
            lp_executor_break(executor, "on purpose");
        } else if (round % 3 == 1) {
            lp_executor_stop(executor, 0);
        } else {
            lp_executor_close(executor, true);
        }
        for (int i = 0; i < 200; i++) {
            await(tasks[i]);
            lp_task_release(tasks[i]);
        }
        lp_executor_release(executor);
        close_host(&host);
    }
}

static void test_stop_on_all_levels(void)
{
    for (int round = 0; round < 60; round++) {
        lp_host host;
        CHECK(lp_host_init(&host, NULL) == LP_OK);
        lp_executor *executor = open_executor(&host, 2, 0);
        lp_task *tasks[200];
        for (int i = 0; i < 200; i++)
            tasks[i] = submit_at(executor, i % (int)LP_LEVELS, 1, 1);
        if (round % 3 == 0) {
            lp_executor_break(executor, "on purpose");
        } else if (round % 3 == 1) {
            lp_executor_stop(executor, 0);
        } else {
            lp_executor_close(executor, true);
        }
        for (int i = 0; i < 200; i++) {
            await(tasks[i]);
            lp_task_release(tasks[i]);
        }
        lp_executor_release(executor);
        close_host(&host);
    }
}

/* ---- a limit of pending tasks ---- */

static int try_submit(lp_executor *executor, bool exceeds, lp_task **task)
{
    const lp_task_about about = {.exceeds = exceeds};
    lp_buffer parcel;
    lp_buffer_init(&parcel, NULL);
    CHECK(lp_buffer_append(&parcel, "x", 1) == LP_OK);
    int status = lp_executor_submit(executor, &parcel, &about, task);
    lp_buffer_clear(&parcel);
    return status;
}

static void test_room(void)
{
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    max_queue = 3;
    lp_executor *executor = open_executor(&host, 1, 0);
    max_queue = 0;
    lp_task *tasks[5];
    /* The worker waits in its first task, for the lock that we have. */
    lp_lock_enter(&held);
    tasks[0] = submit(executor, HOLD, 1);
    while ((lp_task_state(tasks[0]) & LP_PHASE) == LP_PENDING)
        (void)sched_yield();
    for (int i = 1; i < 4; i++)
        CHECK(try_submit(executor, false, &tasks[i]) == LP_OK);
    CHECK(try_submit(executor, false, &tasks[4]) == LP_FULL);
    CHECK(lp_executor_ask_for_room(executor) == LP_FULL);
    CHECK(try_submit(executor, true, &tasks[4]) == LP_OK);
    lp_task_cancel(tasks[2]);
    lp_task_release(tasks[2]);
    CHECK(try_submit(executor, false, &tasks[2]) == LP_FULL);
    lp_task_cancel(tasks[3]);
    lp_task_release(tasks[3]);
    CHECK(lp_executor_ask_for_room(executor) == LP_OK);
    CHECK(try_submit(executor, false, &tasks[2]) == LP_OK);
    CHECK(try_submit(executor, false, &tasks[3]) == LP_FULL);
    lp_executor_cancel_pending(executor);
    CHECK(lp_executor_ask_for_room(executor) == LP_OK);
    lp_executor_close(executor, false);
    CHECK(lp_executor_ask_for_room(executor) == LP_CLOSED);
    lp_lock_leave(&held);
    lp_task_release(tasks[0]);
    lp_task_release(tasks[1]);
    lp_task_release(tasks[2]);
    lp_task_release(tasks[4]);
    lp_executor_release(executor);
    close_host(&host);
}

/* Fail the first, second, third ... allocation of a submit. */
static void test_submit_without_memory(void)
{
    static const lp_task_about about = {
        .origin = "source:1", .label = "label", .priority = 1};
    size_t live = lp_alloc_live();
    lp_host host;
    CHECK(lp_host_init(&host, NULL) == LP_OK);
    for (long n = 1; n < 100; n++) {
        lp_executor *executor = open_executor(&host, 1, 0);
        lp_buffer parcel;
        lp_buffer_init(&parcel, NULL);
        CHECK(lp_buffer_reserve(&parcel, 5000) == LP_OK);
        memset(parcel.bytes, 1, 5000);
        parcel.length = 5000;
        lp_task *task = NULL;
        lp_alloc_fail_at(n);
        int status = lp_executor_submit(executor, &parcel, &about, &task);
        lp_alloc_fail_at(0);
        if (status == LP_OK) {
            await(task);
            CHECK(outcome_of(task) == 5000);
            lp_task_release(task);
        } else {
            CHECK(status == LP_NOMEM);
        }
        lp_buffer_clear(&parcel);
        lp_executor_release(executor);
        if (status == LP_OK && n > 20) break;
    }
    close_host(&host);
    CHECK(lp_alloc_live() == live);
}

static void run(const char *name, void (*test)(void))
{
    int before = failures;
    test();
    tests++;
    printf("%s %d - core: %s%s\n", failures == before ? "ok" : "not ok", tests,
           name, shared ? ", in memory files" : "");
    fflush(stdout);
}

static void run_all(void)
{
    run("tasks of several submitters end once, rightly", test_race);
    run("the same while workers retire", test_race_with_workers_that_retire);
    run("the same with priorities", test_race_with_priorities);
    run("the same with a limit of pending tasks", test_race_with_a_limit);
    run("the highest level is taken from first, in order", test_levels);
    run("no more levels than there may be", test_levels_are_limited);
    run("levels lose nothing between a putter and takers", test_levels_race);
    run("stop, break and cancel reach all levels", test_stop_on_all_levels);
    run("room is counted exactly", test_room);
    run("the queue grows while it is emptied",
        test_queue_grows_while_it_is_emptied);
    run("a mailbox gets each task once", test_mailbox_gets_each_task_once);
    run("a post frees nothing that somebody has",
        test_a_post_frees_nothing_that_somebody_has);
    run("a pile keeps nothing but numbers",
        test_a_pile_keeps_nothing_but_numbers);
    run("serial numbers are of one task", test_serial_numbers_are_of_one_task);
    run("a group gives each item once", test_group_gives_each_item_once);
    run("no worker frees blocks of the host",
        test_no_worker_frees_blocks_of_the_host);
    run("stop, break and cancel end every task", test_stop_ends_every_task);
    run("submit without memory loses nothing", test_submit_without_memory);
}

int main(void)
{
    lp_lock_init(&held, LP_RANK_POOL);
    run_all();
    shared = true;
    run_all();
    printf("1..%d\n", tests);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
