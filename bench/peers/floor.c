/*
 * floor.c - what is left to gain: the same rows by a pool in C that does
 * nothing but its job.
 *
 * One ring under one mutex, workers that take fair batches, a word per task
 * that says that it is done. Nothing is encoded, and nothing can be cancelled,
 * fail, or outlive the program. Workers are threads or forked processes; what
 * they share lies in a shared mapping.
 *
 *     floor <row> [thread|process [best]]
 *
 * SPDX-License-Identifier: MIT
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 1000
#define BATCH       16

typedef struct job {
    long (*work)(long);
    long value; /* the argument, then the result */
    atomic_bool done;
} job;

typedef struct crew {
    pthread_mutex_t lock; /* guards what follows, up to the tasks */
    pthread_cond_t not_empty, ended;
    size_t head, tail;
    unsigned idle, workers;
    bool closed;
    atomic_uint waiters;
    size_t capacity; /* immutable */
    job tasks[];
} crew;

static bool processes;
static bool only_best; /* of short rounds, for bench-check */
static pthread_t threads[WORKERS_MAX];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Memory that forked workers share. */
static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    return memory;
}

/* ---- the pool ---- */

static void finish(crew *pool, job *task)
{
    task->value = task->work(task->value);
    atomic_store(&task->done, true);
    if (atomic_load(&pool->waiters) == 0) return;
    pthread_mutex_lock(&pool->lock); /* whoever waits has begun to */
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->ended);
}

static void *serve(void *argument)
{
    crew *pool = argument;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        while (pool->head == pool->tail && !pool->closed) {
            pool->idle++; /* whoever wakes us takes it back */
            pthread_cond_wait(&pool->not_empty, &pool->lock);
        }
        size_t first = pool->head, share = pool->tail - first;
        share = (share + pool->workers - 1) / pool->workers;
        size_t count = share < BATCH ? share : BATCH;
        pool->head += count;
        pthread_mutex_unlock(&pool->lock);
        if (count == 0) return NULL;
        for (size_t i = first; i < first + count; i++)
            finish(pool, &pool->tasks[i % pool->capacity]);
    }
}

static crew *pool_open(unsigned workers, size_t capacity)
{
    crew *pool = shared(sizeof(*pool) + capacity * sizeof(job));
    pthread_mutexattr_t lock;
    pthread_condattr_t cond;
    pthread_mutexattr_init(&lock);
    pthread_condattr_init(&cond);
    if (processes) {
        pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
        pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    }
    pthread_mutex_init(&pool->lock, &lock);
    pthread_cond_init(&pool->not_empty, &cond);
    pthread_cond_init(&pool->ended, &cond);
    pool->capacity = capacity;
    pool->workers = workers;
    for (unsigned i = 0; i < workers; i++) {
        if (!processes) {
            if (pthread_create(&threads[i], NULL, serve, pool)) abort();
        } else if (fork() == 0) {
            serve(pool);
            _exit(0);
        }
    }
    return pool;
}

static job *submit(crew *pool, long (*work)(long), long value)
{
    pthread_mutex_lock(&pool->lock);
    job *task = &pool->tasks[pool->tail++ % pool->capacity];
    task->work = work;
    task->value = value;
    atomic_store_explicit(&task->done, false, memory_order_relaxed);
    bool wakes = pool->idle > 0;
    if (wakes) pool->idle--;
    pthread_mutex_unlock(&pool->lock);
    if (wakes) pthread_cond_signal(&pool->not_empty);
    return task;
}

static long result(crew *pool, job *task)
{
    if (!atomic_load(&task->done)) {
        pthread_mutex_lock(&pool->lock);
        atomic_fetch_add(&pool->waiters, 1);
        while (!atomic_load(&task->done))
            pthread_cond_wait(&pool->ended, &pool->lock);
        atomic_fetch_sub(&pool->waiters, 1);
        pthread_mutex_unlock(&pool->lock);
    }
    return task->value;
}

static void pool_close(crew *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    pthread_cond_broadcast(&pool->not_empty);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->workers; i++) {
        if (processes) {
            wait(NULL);
        } else {
            pthread_join(threads[i], NULL);
        }
    }
    munmap(pool, sizeof(*pool) + pool->capacity * sizeof(job));
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double *times, int count, int percent)
{
    qsort(times, (size_t)count, sizeof(*times), compare);
    return times[(int)((int64_t)count * percent / 100)];
}

static long nothing(long value)
{
    return value;
}

static void warm_up(crew *pool)
{
    for (int i = 0; i < 1000; i++)
        result(pool, submit(pool, nothing, i));
}

/* Of this process alone: its workers, if they are others, do as much. */
static double processor_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long status_field(const char *name)
{
    char line[128];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 10);
    if (file) fclose(file);
    return value;
}

/* ---- rows ---- */

/* Tasks a second. */
static double rate(crew *pool, int count)
{
    double start = now();
    job **submitted = malloc((size_t)count * sizeof(*submitted));
    for (int i = 0; i < count; i++)
        submitted[i] = submit(pool, nothing, i);
    for (int i = 0; i < count; i++)
        if (result(pool, submitted[i]) != i) abort();
    free(submitted);
    return count / (now() - start);
}

static double median_rate(crew *pool, int count)
{
    enum { ROUNDS = 5 };
    double rates[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        rates[i] = rate(pool, count);
    return percentile(rates, ROUNDS, 50);
}

static double best_rate(crew *pool, int count)
{
    enum { ROUNDS = 10 };
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double again = rate(pool, count);
        if (again > best) best = again;
    }
    return best;
}

static void tasks(void)
{
    enum { TASKS = 200000, FEWER = 20000 };
    crew *pool = pool_open(2, TASKS);
    warm_up(pool);
    printf("first_tasks_per_second %f\n", rate(pool, TASKS));
    if (only_best) {
        printf("best_tasks_per_second %f\n", best_rate(pool, FEWER));
    } else {
        printf("tasks_per_second %f\n", median_rate(pool, TASKS));
    }
    pool_close(pool);
}

static void round_trip(void)
{
    enum { TRIPS = 20000 };
    static double times[TRIPS];
    crew *pool = pool_open(2, 16);
    warm_up(pool);
    double wall = now(), cpu = processor_time();
    for (int i = 0; i < TRIPS; i++) {
        double start = now();
        result(pool, submit(pool, nothing, i));
        times[i] = now() - start;
    }
    wall = now() - wall;
    cpu = processor_time() - cpu;
    printf("p10_us %f\n", percentile(times, TRIPS, 10) * 1e6);
    printf("p50_us %f\n", percentile(times, TRIPS, 50) * 1e6);
    printf("p99_us %f\n", percentile(times, TRIPS, 99) * 1e6);
    if (!processes) printf("cpu_per_wall %f\n", cpu / wall);
    pool_close(pool);
}

static atomic_uint *bells; /* there, and back */

static void ring(atomic_uint *bell)
{
    atomic_fetch_add(bell, 1);
    syscall(SYS_futex, bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void listen_for(atomic_uint *bell, unsigned heard)
{
    while (atomic_load(bell) == heard)
        syscall(SYS_futex, bell, FUTEX_WAIT, heard, NULL, NULL, 0);
}

static long answer(long count)
{
    for (unsigned i = 0; i < (unsigned)count; i++) {
        listen_for(&bells[0], i);
        ring(&bells[1]);
    }
    return 0;
}

/* Two threads that only wake each other: less is not to be had. */
static void wake(void)
{
    enum { TRIPS = 20000 };
    static double times[TRIPS];
    bells = shared(2 * sizeof(*bells));
    crew *pool = pool_open(1, 16);
    job *answering = submit(pool, answer, TRIPS);
    for (unsigned i = 0; i < TRIPS; i++) {
        double start = now();
        ring(&bells[0]);
        listen_for(&bells[1], i);
        times[i] = now() - start;
    }
    result(pool, answering);
    printf("p10_us %f\n", percentile(times, TRIPS, 10) * 1e6);
    printf("p50_us %f\n", percentile(times, TRIPS, 50) * 1e6);
    printf("p99_us %f\n", percentile(times, TRIPS, 99) * 1e6);
    pool_close(pool);
}

typedef struct record {
    long id;
    char *name;
    double score;
} record;

enum { RECORDS = 10000, PACKED = RECORDS * 64, LONG = 16 << 20 };
static char *there, *back; /* what travels */

static void pack(char *out, const record *records)
{
    for (int i = 0; i < RECORDS; i++) {
        size_t length = strlen(records[i].name) + 1;
        memcpy(out, &records[i].id, sizeof(long));
        memcpy(out + 8, &records[i].score, sizeof(double));
        memcpy(out + 16, records[i].name, length);
        out += 16 + length;
    }
}

static record *unpack(const char *in)
{
    record *records = malloc(RECORDS * sizeof(*records));
    for (int i = 0; i < RECORDS; i++) {
        memcpy(&records[i].id, in, sizeof(long));
        memcpy(&records[i].score, in + 8, sizeof(double));
        records[i].name = strdup(in + 16);
        in += 16 + strlen(in + 16) + 1;
    }
    return records;
}

static void drop(record *records)
{
    for (int i = 0; i < RECORDS; i++)
        free(records[i].name);
    free(records);
}

static long echo_records(long value)
{
    record *mine = unpack(there);
    pack(back, mine);
    drop(mine);
    return value;
}

static long echo_string(long value)
{
    memcpy(back, there, LONG);
    return value;
}

static double trip(crew *pool, const record *records, char *string)
{
    double start = now();
    if (string) {
        result(pool, submit(pool, echo_string, 0));
        memcpy(string, back, LONG);
        return now() - start;
    }
    pack(there, records);
    result(pool, submit(pool, echo_records, 0));
    record *returned = unpack(back);
    double time = now() - start;
    drop(returned);
    return time;
}

static void trips(const record *records, char *string)
{
    enum { TRIPS = 21, WARM = 5 };
    double times[TRIPS];
    crew *pool = pool_open(2, 16);
    for (int i = -WARM; i < TRIPS; i++)
        times[i < 0 ? 0 : i] = trip(pool, records, string);
    printf("ms %f\n", percentile(times, TRIPS, 50) * 1e3);
    printf("best_ms %f\n", times[0] * 1e3);
    pool_close(pool);
}

static void records(void)
{
    static record all[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "name %d", i + 1);
        all[i] = (record){i + 1, strdup(name), (i + 1) / 7.0};
    }
    there = shared(PACKED);
    back = shared(PACKED);
    trips(all, NULL);
}

/* One copy each way: a receiver that reads what the sender holds still. */
static void long_string(void)
{
    there = shared(LONG);
    back = shared(LONG);
    memset(there, 'x', LONG);
    trips(NULL, calloc(1, LONG));
}

static long compute(long n)
{
    volatile long sum = 0;
    for (long i = 1; i <= n; i++)
        sum = (sum + i * i) % 1000003;
    return sum;
}

static double seconds(unsigned workers)
{
    job *submitted[8];
    crew *pool = pool_open(workers, 16);
    double start = now();
    for (int i = 0; i < 8; i++)
        submitted[i] = submit(pool, compute, 5000000 + i);
    for (int i = 0; i < 8; i++)
        result(pool, submitted[i]);
    double time = now() - start;
    pool_close(pool);
    return time;
}

static void arithmetic(void)
{
    printf("speedup %f\n", seconds(1) / seconds(2));
}

static void idle_worker(void)
{
    enum { WORKERS = 500 };
    long before = status_field("VmRSS:");
    double start = now();
    crew *pool = pool_open(WORKERS, 16);
    unsigned idle = 0;
    while (idle < WORKERS) {
        pthread_mutex_lock(&pool->lock);
        idle = pool->idle;
        pthread_mutex_unlock(&pool->lock);
        usleep(100);
    }
    printf("us %f\n", (now() - start) / WORKERS * 1e6);
    printf("kib %f\n", (double)(status_field("VmRSS:") - before) / WORKERS);
    pool_close(pool);
}

static double pool_once(void)
{
    double start = now();
    crew *pool = pool_open(2, 16);
    result(pool, submit(pool, nothing, 1));
    pool_close(pool);
    return (now() - start) * 1e3;
}

static void next_pool(void)
{
    enum { POOLS = 101 };
    double times[POOLS];
    pool_once();
    for (int i = 0; i < POOLS; i++)
        times[i] = pool_once();
    printf("next_ms %f\n", percentile(times, POOLS, 50));
    printf("next_p10_ms %f\n", percentile(times, POOLS, 10));
}

static long doze(long milliseconds)
{
    usleep((useconds_t)milliseconds * 1000);
    return 0;
}

static void sleepers(void)
{
    double start = now();
    crew *pool = pool_open(1000, 4096);
    for (int i = 0; i < 2000; i++)
        submit(pool, doze, 50);
    pool_close(pool);
    printf("seconds %f\n", now() - start);
    printf("mib %f\n", (double)status_field("VmHWM:") / 1024);
}

static void first(void)
{
    pool_once();
}

static void empty(void)
{
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } rows[] = {
        {"tasks", tasks},
        {"round_trip", round_trip},
        {"wake", wake},
        {"records", records},
        {"long_string", long_string},
        {"arithmetic", arithmetic},
        {"idle_worker", idle_worker},
        {"pool", next_pool},
        {"sleepers", sleepers},
        {"first", first},
        {"empty", empty},
    };
    processes = argc > 2 && strcmp(argv[2], "process") == 0;
    only_best = argc > 3 && strcmp(argv[3], "best") == 0;
    for (size_t i = 0; argc > 1 && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(argv[1], rows[i].name) != 0) continue;
        rows[i].run();
        return 0;
    }
    fprintf(stderr, "floor: no such row\n");
    return 1;
}
