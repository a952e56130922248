/*
 * zygote_main.c - fork on request, reap, report.
 *
 *     host ==FORK, KILL=====> zygote ---fork---> child, child, ...
 *          <=FORKED, DIED====   |
 *          --SPLIT------------> +-----fork---> zygote with a socket of its
 *                                              own, its own children, and
 *                                              what it has preloaded
 *
 * One thread, one loop. SIGCHLD is blocked but for the wait in ppoll, so no
 * death goes unnoticed between the last look and the wait.
 *
 * The zygote never waits for the host to read. A host whose only reader asks
 * for a child on each death would otherwise stand still when many die at
 * once: both sides would be sending, into sockets that are full. What does
 * not fit into the socket stays in the outbox.
 *
 * Nothing outlives the host: its end closes the socket, which ends a zygote,
 * and the end of a zygote, however it comes, kills what it has forked.
 */
#include "workers/zygote_main.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "workers/zygote_message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long zygotes that were split off may take to end by themselves. */
#define SPLIT_GRACE INT64_C(1000000000)

/* Places in a new table of children, and in a new outbox. */
#define FIRST_ROOM 16u

typedef struct child {
    pid_t pid;
    bool is_zygote; /* its death is not reported */
    uint64_t ticket;
} child;

typedef struct zygote {
    int socket;
    pid_t pid; /* its own */
    const lp_zygote_hooks *hooks;
    bool closed;     /* the host is gone */
    child *children; /* forked and not reaped yet, in no order */
    size_t child_count;
    size_t child_capacity;
    lp_zygote_header *outbox; /* not sent yet, from index out_first on */
    size_t out_first;
    size_t out_count; /* index of the first free place */
    size_t out_capacity;
    lp_zygote_message request; /* the one being answered */
} zygote;

/* ---- descriptors and signals ---- */

static bool close_range_of(unsigned int first, unsigned int last)
{
#ifdef SYS_close_range
    return first > last || syscall(SYS_close_range, first, last, 0) == 0;
#else
    return false;
#endif
}

/* For systems without the call that closes many at once. */
static void close_listed(int kept)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) return;
    struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread. */
    while ((entry = readdir(folder)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10); /* 0 for "." and ".." */
        if (fd > STDERR_FILENO && fd != kept && fd != dirfd(folder)) close(fd);
    }
    closedir(folder);
}

/* Close what the host had open, but for the standard streams and kept. */
static void close_others(int kept)
{
    unsigned int fd = (unsigned int)kept;
    if (!close_range_of(STDERR_FILENO + 1, fd - 1) ||
        !close_range_of(fd + 1, ~0U))
        close_listed(kept);
}

/*
 * Standard input is empty: children must not race the host for it. The other
 * two are open, so that no descriptor of a child comes to lie there.
 */
static int open_standard_streams(void)
{
    int null = open("/dev/null", O_RDWR); /* no other thread could exec now */
    if (null < 0) return LP_SYSTEM;
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fd == STDIN_FILENO || fcntl(fd, F_GETFD) < 0) dup2(null, fd);
    }
    if (null > STDERR_FILENO) close(null);
    return LP_OK;
}

static void do_nothing(int number)
{
    (void)number; /* the only purpose is to interrupt */
}

/* The terminal's Ctrl-\ is ignored; a signal that somebody sent kills. */
static void die_if_meant(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code > 0) return;
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
    raise(number); /* delivered when the handler returns */
}

/*
 * Ctrl-C and Ctrl-\ go to the whole group of processes, and what they mean is
 * the host's business. A handler, unlike SIG_IGN, is not inherited by programs
 * that children execute.
 */
static void set_signals(void)
{
    struct sigaction action = {.sa_handler = do_nothing,
                               .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = die_if_meant;
    sigaction(SIGQUIT, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
}

static void block_deaths(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static void block_nothing(void)
{
    sigset_t set;
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

/* ---- answers ---- */

/* Send what waits in the outbox, as far as flags allow. */
static void flush(zygote *z, int flags)
{
    while (z->out_first < z->out_count && !z->closed) {
        int status = lp_zygote_message_send(z->socket, &z->outbox[z->out_first],
                                            NULL, NULL, 0, flags);
        if (status == LP_CLOSED) {
            z->closed = true;
        } else if (status == LP_OK) {
            z->out_first++;
        } else {
            return; /* full, or the system is short of memory: later */
        }
    }
    z->out_first = z->out_count = 0;
}

/* Have room in the outbox for one more. */
static int reserve_answer(zygote *z)
{
    if (z->out_count < z->out_capacity) return LP_OK;
    if (z->out_first > z->out_capacity / 2) {
        z->out_count -= z->out_first;
        memmove(z->outbox, z->outbox + z->out_first,
                z->out_count * sizeof(*z->outbox));
        z->out_first = 0;
        return LP_OK;
    }
    size_t capacity = z->out_capacity ? 2 * z->out_capacity : FIRST_ROOM;
    lp_zygote_header *outbox =
        lp_realloc(z->hooks->allocator, z->outbox, capacity * sizeof(*outbox));
    if (!outbox) return LP_NOMEM;
    z->outbox = outbox;
    z->out_capacity = capacity;
    return LP_OK;
}

/*
 * Say something about a child. The outbox is not empty only if the socket was
 * full: order is kept.
 */
static void answer(zygote *z, lp_zygote_type type, const child *about,
                   int number)
{
    lp_zygote_header header = {.type = type,
                               .number = number,
                               .ticket = about->ticket,
                               .pid = about->pid};
    if (z->closed) return;
    /* Without memory the host is waited for after all. */
    while (reserve_answer(z) != LP_OK && !z->closed)
        flush(z, 0);
    if (z->closed) return;
    z->outbox[z->out_count++] = header;
    flush(z, MSG_DONTWAIT);
}

static int send_text(int socket, lp_zygote_type type, const char *text)
{
    lp_zygote_header header = {.type = type, .length = (uint32_t)strlen(text)};
    return lp_zygote_message_send(socket, &header, text, NULL, 0, 0);
}

/* ---- children ---- */

static int reserve_child(zygote *z)
{
    if (z->child_count < z->child_capacity) return LP_OK;
    size_t capacity = z->child_capacity ? 2 * z->child_capacity : FIRST_ROOM;
    child *children = lp_realloc(z->hooks->allocator, z->children,
                                 capacity * sizeof(*children));
    if (!children) return LP_NOMEM;
    z->children = children;
    z->child_capacity = capacity;
    return LP_OK;
}

/* Take note of every child that has ended. */
static void reap(zygote *z)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        size_t i = 0;
        while (i < z->child_count && z->children[i].pid != pid)
            i++;
        if (i == z->child_count) continue; /* left behind by a preload */
        child dead = z->children[i];
        z->children[i] = z->children[--z->child_count];
        if (!dead.is_zygote) answer(z, LP_ZYGOTE_DIED, &dead, status);
    }
}

/*
 * Fork, with what all new processes do first. 0, with *pid 0 in the new one,
 * which has no socket any more; or an errno.
 */
static int fork_process(zygote *z, pid_t *pid)
{
    *pid = 0;
    if (reserve_child(z) != LP_OK) return ENOMEM;
    fflush(NULL); /* what a preload has printed is not printed twice */
    pid_t forked = fork();
    if (forked < 0) return errno;
    if (forked == 0) {
        /* Also if the zygote was killed before the call could say so. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != z->pid) _exit(EXIT_FAILURE);
        close(z->socket);
    }
    *pid = forked;
    return 0;
}

/* The whole life of a child. */
static _Noreturn void run_child(zygote *z)
{
    const lp_zygote_hooks *hooks = z->hooks;
    lp_zygote_message *request = &z->request;
    signal(SIGCHLD, SIG_DFL);
    block_nothing();
    int code =
        hooks->child(hooks->context, request->bytes, request->header.length,
                     request->fds, request->fd_count);
    fflush(NULL);
    _exit(code);
}

static void handle_fork(zygote *z, int error)
{
    child fresh = {.ticket = z->request.header.ticket};
    if (!error) {
        error = fork_process(z, &fresh.pid);
        if (!error && fresh.pid == 0) run_child(z);
    }
    if (!error) z->children[z->child_count++] = fresh;
    answer(z, LP_ZYGOTE_FORKED, &fresh, error);
}

/* Only a child that is not reaped yet, so its pid is still its own. */
static void handle_kill(zygote *z)
{
    const lp_zygote_header *header = &z->request.header;
    for (size_t i = 0; i < z->child_count; i++) {
        const child *found = &z->children[i];
        if (found->ticket == header->ticket) {
            (void)kill(found->pid, header->number); /* may be ending already */
            return;
        }
    }
}

/*
 * What a zygote that was split off does first: become one, with a socket of
 * its own and no children; preload; and go on in the loop it was forked in.
 */
static void begin_split(zygote *z)
{
    char text[LP_ZYGOTE_TEXT] = "";
    const lp_zygote_hooks *hooks = z->hooks;
    z->socket = z->request.fds[0];
    z->request.fd_count = 0;
    z->pid = getpid();
    z->child_count = 0;
    z->out_first = z->out_count = 0;

    bool greeted = lp_zygote_message_greet(z->socket) == LP_OK;
    z->closed = !greeted;
    if (!greeted) return;
    block_nothing(); /* programs that a preload executes inherit the mask */
    int failed = hooks->preload(hooks->context, z->request.bytes,
                                z->request.header.length, text, sizeof(text));
    block_deaths();
    text[sizeof(text) - 1] = '\0';
    lp_zygote_type type = failed ? LP_ZYGOTE_BROKEN : LP_ZYGOTE_READY;
    int status = send_text(z->socket, type, failed ? text : "");
    z->closed = failed || status != LP_OK;
}

static void handle_split(zygote *z)
{
    child fresh = {.is_zygote = true, .ticket = z->request.header.ticket};
    int error = fork_process(z, &fresh.pid);
    if (!error && fresh.pid == 0) {
        begin_split(z);
        return;
    }
    if (!error) {
        z->children[z->child_count++] = fresh;
        return;
    }
    char text[128];
    int socket = z->request.fds[0];
    snprintf(text, sizeof(text), "cannot fork a zygote: %s",
             strerror(error)); /* NOLINT(concurrency-mt-unsafe): one thread */
    /* The host sees the socket close if it cannot be told more. */
    if (lp_zygote_message_greet(socket) == LP_OK)
        (void)send_text(socket, LP_ZYGOTE_BROKEN, text);
}

/* ---- the loop ---- */

/*
 * Answer one request. What is malformed is refused: a FORK by its own
 * answer, a SPLIT by the end of its socket, if one came with it.
 */
static void handle_request(zygote *z)
{
    static const child nobody;
    lp_zygote_message *request = &z->request;
    int status = lp_zygote_message_receive(z->socket, request, MSG_DONTWAIT);
    if (status == LP_SYSTEM) return;
    /* Empty, or the end: the latter shows in the next poll. */
    if (status == LP_CLOSED)
        memset(&request->header, 0, sizeof(request->header));
    int error = status == LP_CORRUPT ? errno : 0;

    switch (request->header.type) {
    case LP_ZYGOTE_FORK:
        handle_fork(z, error);
        break;
    case LP_ZYGOTE_KILL:
        if (!error) handle_kill(z);
        break;
    case LP_ZYGOTE_SPLIT:
        if (!error && request->fd_count == 1) handle_split(z);
        break;
    default:
        answer(z, LP_ZYGOTE_REFUSED, &nobody, error ? error : EBADMSG);
        break;
    }
    lp_zygote_message_drop(request);
}

/* Children are killed; zygotes see their sockets closed, or are killed. */
static void end_children(zygote *z)
{
    sigset_t nothing;
    sigemptyset(&nothing);
    int64_t deadline = lp_clock_after(SPLIT_GRACE);
    bool late = false;
    for (size_t i = 0; i < z->child_count; i++) {
        if (!z->children[i].is_zygote) kill(z->children[i].pid, SIGKILL);
    }
    for (;;) {
        reap(z);
        if (z->child_count == 0) return;
        int64_t left = deadline - lp_clock_now();
        if (left <= 0 && !late) {
            late = true;
            for (size_t i = 0; i < z->child_count; i++)
                kill(z->children[i].pid, SIGKILL);
        }
        struct timespec timeout;
        if (!late) lp_clock_timespec(left, &timeout);
        (void)ppoll(NULL, 0, late ? NULL : &timeout, &nothing);
    }
}

/* Until the host is gone; then no child is left. */
static void serve(zygote *z)
{
    sigset_t nothing;
    sigemptyset(&nothing);
    while (!z->closed) {
        reap(z);
        struct pollfd host = {.fd = z->socket, .events = POLLIN | POLLRDHUP};
        if (z->out_count > 0) host.events |= POLLOUT;
        if (ppoll(&host, 1, NULL, &nothing) < 0) continue; /* a death */
        if (host.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) {
            z->closed = true;
            break;
        }
        if (host.revents & POLLOUT) flush(z, MSG_DONTWAIT);
        if (host.revents & POLLIN) handle_request(z);
    }
    end_children(z);
}

int lp_zygote_main(int socket, const lp_zygote_hooks *hooks)
{
    zygote z = {.socket = socket, .pid = getpid(), .hooks = hooks};
    if (socket <= STDERR_FILENO) return EXIT_FAILURE;
    close_others(socket);
    if (fcntl(socket, F_SETFD, FD_CLOEXEC) != 0 ||
        open_standard_streams() != LP_OK)
        return EXIT_FAILURE;
    prctl(PR_SET_NAME, "lpool zygote");
    set_signals();
    block_deaths();

    int code = EXIT_FAILURE;
    z.request.capacity = LP_ZYGOTE_BYTES;
    z.request.bytes = lp_alloc(hooks->allocator, LP_ZYGOTE_BYTES);
    /* With an outbox, however small, answers can be sent without memory. */
    if (z.request.bytes && reserve_answer(&z) == LP_OK &&
        lp_zygote_message_greet(socket) == LP_OK) {
        serve(&z);
        code = EXIT_SUCCESS;
    }
    lp_free(z.request.bytes);
    lp_free(z.children);
    lp_free(z.outbox);
    return code;
}
