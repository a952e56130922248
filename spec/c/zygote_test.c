/*
 * zygote_test.c - the helper process that forks children, from both sides.
 *
 * This program executes itself as the zygote. What a child does is said by
 * the bytes of its request: the first is one of the letters below. Where a
 * test has to know that processes are gone, each holds the writing end of a
 * pipe, whose reading end then sees the end of file.
 */
#include "check.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "workers/zygote.h"
#include "workers/zygote_main.h"
#include "workers/zygote_message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int tests;
static char program[4096]; /* this one; under valgrind /proc has another */

/* Nothing takes that long; past it a test has failed, and the program ends. */
#define PATIENCE INT64_C(30000000000)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the zygote: this program, executed again ---- */

#define EXIT_WITH   'x' /* the code is the next byte */
#define SIGNAL_SELF 's' /* the signal is the next byte */
#define WAIT_BYTE   'w' /* exit with the byte that comes from descriptor 0 */
#define WAIT_EVER   'e'
#define REPORT      'r' /* write a report to descriptor 0 */
#define RUN_SHELL   'c' /* execute the rest as a command */
#define SAY_PRELOAD 'p' /* write what was preloaded to descriptor 0 */

typedef struct report {
    pid_t parent;
    int open_count; /* descriptors but for the standard ones and its own */
    int empty_input;
    int blocked; /* signals */
    int ignored; /* signals */
    size_t length;
    unsigned int sum; /* of the bytes of the request */
    char name[16];
} report;

static char preloaded[64];

/* Descriptors that a process has; the one that reads them is not counted. */
static int count_fds(pid_t pid)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder) return -1;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2 - (pid == getpid());
}

static unsigned int sum_of(const uint8_t *bytes, size_t length)
{
    unsigned int sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

static int write_report(const uint8_t *bytes, size_t length, const int *fds,
                        size_t fd_count)
{
    report r = {.parent = getppid(), .length = length};
    char byte;
    sigset_t mask;
    r.open_count = count_fds(getpid()) - 3 - (int)fd_count;
    r.empty_input = read(STDIN_FILENO, &byte, 1) == 0;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < 32; i++) {
        struct sigaction action;
        sigaction(i, NULL, &action);
        r.blocked += sigismember(&mask, i) == 1;
        r.ignored += action.sa_handler == SIG_IGN;
    }
    r.sum = sum_of(bytes, length);
    prctl(PR_GET_NAME, r.name);
    for (size_t i = 0; i < fd_count; i++) {
        if ((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) == 0) return 1;
    }
    return write(fds[0], &r, sizeof(r)) != sizeof(r);
}

static int child(void *context, const void *bytes, size_t length,
                 const int *fds, size_t fd_count)
{
    const uint8_t *order = bytes;
    char command[256] = "";
    uint8_t byte = 99;
    if (context != preloaded || length == 0) return 98;
    switch (order[0]) {
    case EXIT_WITH:
        return order[1];
    case SIGNAL_SELF:
        signal(order[1], SIG_DFL); /* a sanitizer may want it */
        raise(order[1]);
        return 97;
    case WAIT_BYTE:
        return read(fds[0], &byte, 1) == 1 ? byte : 96;
    case WAIT_EVER:
        for (;;)
            pause();
    case REPORT:
        return write_report(bytes, length, fds, fd_count);
    case RUN_SHELL:
        memcpy(command, order + 1, length - 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        return 95;
    case SAY_PRELOAD:
        return write(fds[0], preloaded, sizeof(preloaded)) < 0;
    default:
        return 94;
    }
}

static int preload(void *context, const void *bytes, size_t length, char *text,
                   size_t size)
{
    if (length >= sizeof(preloaded)) return -1;
    memcpy(context, bytes, length);
    if (strcmp(preloaded, "fail") == 0) {
        snprintf(text, size, "no %s", preloaded);
        return -1;
    }
    if (strcmp(preloaded, "long text") == 0) {
        memset(text, 'a', size);
        return -1;
    }
    if (strcmp(preloaded, "crash") == 0) raise(SIGKILL);
    if (strcmp(preloaded, "shell") == 0)
        return WEXITSTATUS(system("exit 0")) != 0;
    return 0;
}

/* Let some system calls of this process fail from now on. */
static void refuse(const long *calls, size_t count, int error)
{
    struct sock_filter code[16];
    unsigned short length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        code[length++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)calls[i], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(
            BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)error);
    }
    code[length++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {length, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        perror("prctl(PR_SET_SECCOMP)");
}

static const long forking[] = {
    SYS_clone,
#ifdef SYS_clone3
    SYS_clone3,
#endif
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
};

/* What this program is when it was executed with these arguments. */
static int zygote_main(int socket, const char *mode)
{
    static const lp_zygote_hooks hooks = {NULL, preload, child, preloaded};
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (strcmp(mode, "other version") == 0) {
        lp_zygote_header header = {.type = LP_ZYGOTE_HELLO, .length = 24};
        const char greeting[24] = "lpool\r\n";
        lp_zygote_message_send(socket, &header, greeting, NULL, 0, 0);
        return 0;
    }
#ifdef SYS_close_range
    if (strcmp(mode, "old system") == 0) {
        static const long calls[] = {SYS_close_range};
        refuse(calls, COUNT(calls), ENOSYS);
    }
#endif
    if (strcmp(mode, "without fork") == 0)
        refuse(forking, COUNT(forking), EAGAIN);
    int code = lp_zygote_main(socket, &hooks);
    /* The leak sanitizer would fork now. */
    if (strcmp(mode, "without fork") == 0) _exit(code);
    return code;
}

/* ---- the host: zygotes, and what is heard from them ---- */

#define MOST_TICKETS 600u

typedef struct news {
    lp_zygote *zygote;
    int end;       /* what lp_zygote_read returned last */
    int forked;    /* how often */
    int died;      /* how often */
    int ready;     /* how often */
    int disorders; /* events that should not have come so */
    char text[LP_ZYGOTE_TEXT];
    pid_t pids[MOST_TICKETS];
    int errors[MOST_TICKETS];
    int statuses[MOST_TICKETS];
    bool dead[MOST_TICKETS];
} news;

static void on_forked(void *context, uint64_t ticket, pid_t pid, int error)
{
    news *n = context;
    n->forked++;
    if (ticket >= MOST_TICKETS || n->pids[ticket] || (pid > 0) == (error > 0)) {
        n->disorders++;
    } else {
        n->pids[ticket] = pid;
        n->errors[ticket] = error;
    }
}

static void on_died(void *context, uint64_t ticket, pid_t pid, int status)
{
    news *n = context;
    n->died++;
    if (ticket >= MOST_TICKETS || n->pids[ticket] != pid || n->dead[ticket]) {
        n->disorders++;
    } else {
        n->dead[ticket] = true;
        n->statuses[ticket] = status;
    }
}

static void on_ready(void *context, const char *text)
{
    news *n = context;
    n->ready++;
    snprintf(n->text, sizeof(n->text), "%s", text ? text : "ready");
}

static const lp_zygote_events events = {on_forked, on_died, on_ready};

static void give_up(const char *what)
{
    fprintf(stderr, "gave up waiting for %s\n", what);
    exit(EXIT_FAILURE);
}

/* Wait until fd is readable or closed. */
static void await_fd(int fd, int64_t deadline, const char *what)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    for (;;) {
        int64_t left = deadline - lp_clock_now();
        if (left <= 0) give_up(what);
        if (poll(&wanted, 1, (int)(left / 1000000) + 1) > 0) return;
    }
}

/* Read events until a count is reached, or the zygote says no more. */
static void await_count(news *n, const int *count, int wanted)
{
    int64_t deadline = lp_clock_after(PATIENCE);
    for (;;) {
        n->end = lp_zygote_read(n->zygote, &events, n);
        if (n->end != LP_OK || *count >= wanted) return;
        await_fd(lp_zygote_fd(n->zygote), deadline, "events");
    }
}

/* Read events until the zygote says no more. */
static int await_end(news *n)
{
    static const int never = 0;
    await_count(n, &never, 1);
    return n->end;
}

/* Start this program as a zygote of some mode. */
static void start(news *n, const char *mode)
{
    const char *argv[] = {"zygote_test", "--zygote", "%d", mode, NULL};
    memset(n, 0, sizeof(*n));
    if (lp_zygote_start(program, argv, NULL, &n->zygote) != LP_OK) {
        perror("lp_zygote_start");
        exit(EXIT_FAILURE);
    }
}

static void split(news *from, news *n, const char *bytes)
{
    memset(n, 0, sizeof(*n));
    CHECK(lp_zygote_split(from->zygote, 9999, bytes, strlen(bytes),
                          &n->zygote) == LP_OK);
}

static void finish(news *n)
{
    CHECK(n->disorders == 0);
    lp_zygote_free(n->zygote);
    n->zygote = NULL;
}

/* Ask for a child with an order of one letter and perhaps one byte more. */
static void ask(news *n, uint64_t ticket, char letter, int byte, int fd)
{
    const uint8_t order[] = {(uint8_t)letter, (uint8_t)byte};
    CHECK(lp_zygote_fork(n->zygote, ticket, order, sizeof(order), &fd,
                         fd >= 0) == LP_OK);
}

static void ask_shell(news *n, uint64_t ticket, const char *command)
{
    char order[128];
    int length = snprintf(order, sizeof(order), "%c%s", RUN_SHELL, command);
    CHECK(lp_zygote_fork(n->zygote, ticket, order, (size_t)length, NULL, 0) ==
          LP_OK);
}

static bool exited_with(const news *n, uint64_t ticket, int code)
{
    int status = n->statuses[ticket];
    return n->dead[ticket] && WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static bool was_killed_by(const news *n, uint64_t ticket, int number)
{
    int status = n->statuses[ticket];
    return n->dead[ticket] && WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static void make_pipe(int *pair)
{
    CHECK(pipe2(pair, O_CLOEXEC) == 0);
}

/* Read exactly size bytes, or fewer if the pipe ends before that. */
static size_t read_whole(int fd, void *bytes, size_t size)
{
    size_t length = 0;
    int64_t deadline = lp_clock_after(PATIENCE);
    while (length < size) {
        await_fd(fd, deadline, "a pipe");
        ssize_t part = read(fd, (char *)bytes + length, size - length);
        if (part <= 0) break;
        length += (size_t)part;
    }
    return length;
}

/* Close the writing end and wait until nobody has it any more. */
static void await_nobody(int *pair)
{
    char byte;
    close(pair[1]);
    await_fd(pair[0], lp_clock_after(PATIENCE), "processes to end");
    CHECK(read(pair[0], &byte, 1) == 0);
    close(pair[0]);
}

/* What a child of the zygote, with these bytes and descriptors, reports. */
static report report_of(news *n, uint64_t ticket, const void *bytes,
                        size_t length, size_t fd_count)
{
    report r = {0};
    int pair[2], fds[LP_ZYGOTE_FDS];
    make_pipe(pair);
    for (size_t i = 0; i < fd_count; i++)
        fds[i] = pair[1];
    CHECK(lp_zygote_fork(n->zygote, ticket, bytes, length, fds, fd_count) ==
          LP_OK);
    CHECK(read_whole(pair[0], &r, sizeof(r)) == sizeof(r));
    await_nobody(pair);
    await_count(n, &n->died, n->died + 1);
    CHECK(exited_with(n, ticket, 0));
    return r;
}

static pid_t pid_of(news *n, uint64_t ticket)
{
    return report_of(n, ticket, "r", 1, 1).parent;
}

/* Children of a process, zombies too. */
static int count_children(pid_t parent)
{
    int count = 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char path[300], line[512];
        snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] > '9' ? NULL : fopen(path, "re");
        if (!file) continue;
        int found = 0;
        if (fgets(line, sizeof(line), file) && strrchr(line, ')'))
            (void)sscanf(strrchr(line, ')'), ") %*c %d", &found);
        count += found == (int)parent;
        fclose(file);
    }
    closedir(folder);
    return count;
}

static void await_children(pid_t parent, int wanted)
{
    int64_t deadline = lp_clock_after(PATIENCE);
    while (count_children(parent) != wanted) {
        if (lp_clock_now() > deadline) give_up("children");
        (void)poll(NULL, 0, 1); /* nothing tells when another's are reaped */
    }
}

/* ---- tests ---- */

static void test_strangers(void)
{
    news n = {0};
    const char *silent[] = {"true", NULL};
    CHECK(lp_zygote_start("/bin/true", silent, NULL, &n.zygote) == LP_OK);
    CHECK(await_end(&n) == LP_CLOSED);
    CHECK(lp_zygote_fork(n.zygote, 1, "x", 1, NULL, 0) == LP_CLOSED);
    CHECK(lp_zygote_kill(n.zygote, 1, SIGTERM) == LP_CLOSED);
    news other;
    memset(&other, 0, sizeof(other));
    CHECK(lp_zygote_split(n.zygote, 9999, "", 0, &other.zygote) == LP_CLOSED);
    finish(&n);

    const char *garbage[] = {"sh", "-c", "echo garbage of any length >&%d",
                             NULL};
    CHECK(lp_zygote_start("/bin/sh", garbage, NULL, &n.zygote) == LP_OK);
    CHECK(await_end(&n) == LP_CORRUPT);
    finish(&n);

    start(&n, "other version");
    CHECK(await_end(&n) == LP_CORRUPT);
    finish(&n);
}

static void test_no_program(void)
{
    news n = {0};
    const char *argv[] = {"nothing", NULL};
    errno = 0;
    int status = lp_zygote_start("/nonexistent/x", argv, NULL, &n.zygote);
    if (status == LP_OK) {
        /* POSIX lets posix_spawn say so later, as it does under valgrind. */
        CHECK(await_end(&n) == LP_CLOSED);
        finish(&n);
    } else {
        CHECK(status == LP_SYSTEM && errno == ENOENT);
    }
}

static void test_stranger_that_stays(void)
{
    news n = {0};
    const char *argv[] = {"sleep", "60", NULL};
    int64_t before = lp_clock_now();
    CHECK(lp_zygote_start("/bin/sleep", argv, NULL, &n.zygote) == LP_OK);
    finish(&n);
    CHECK(lp_clock_now() - before < PATIENCE);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void test_exit_codes(void)
{
    news n;
    start(&n, "");
    for (int i = 0; i < 4; i++)
        ask(&n, (uint64_t)i, EXIT_WITH, 50 * i, -1);
    await_count(&n, &n.died, 4);
    for (int i = 0; i < 4; i++)
        CHECK(exited_with(&n, (uint64_t)i, 50 * i));
    CHECK(n.forked == 4 && n.ready == 0);
    finish(&n);
}

static void test_deaths_by_signal(void)
{
    static const int signals[] = {SIGKILL, SIGSEGV, SIGTERM, SIGABRT};
    news n;
    start(&n, "");
    for (size_t i = 0; i < COUNT(signals); i++)
        ask(&n, i, SIGNAL_SELF, signals[i], -1);
    await_count(&n, &n.died, COUNT(signals));
    for (size_t i = 0; i < COUNT(signals); i++)
        CHECK(was_killed_by(&n, i, signals[i]));
    finish(&n);
}

static void test_kill(void)
{
    news n;
    start(&n, "");
    ask(&n, 1, WAIT_EVER, 0, -1);
    ask(&n, 2, WAIT_EVER, 0, -1);
    CHECK(lp_zygote_kill(n.zygote, 77, SIGKILL) == LP_OK); /* unknown */
    CHECK(lp_zygote_kill(n.zygote, 2, SIGTERM) == LP_OK);
    await_count(&n, &n.died, 1);
    CHECK(was_killed_by(&n, 2, SIGTERM) && !n.dead[1]);
    CHECK(lp_zygote_kill(n.zygote, 2, SIGKILL) == LP_OK); /* no longer */
    CHECK(lp_zygote_kill(n.zygote, 1, 12345) == LP_OK);   /* no signal */
    CHECK(lp_zygote_kill(n.zygote, 1, SIGKILL) == LP_OK);
    await_count(&n, &n.died, 2);
    CHECK(was_killed_by(&n, 1, SIGKILL));
    finish(&n);
}

static void check_child(news *n)
{
    static uint8_t bytes[LP_ZYGOTE_BYTES];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 251);
    bytes[0] = REPORT;
    report r = report_of(n, 1, bytes, sizeof(bytes), LP_ZYGOTE_FDS);
    CHECK(r.length == sizeof(bytes) && r.sum == sum_of(bytes, sizeof(bytes)));
    CHECK(r.open_count == 0);
    CHECK(r.empty_input);
    CHECK(r.blocked == 0 && r.ignored == 0);
    CHECK(strcmp(r.name, "lpool zygote") == 0);
    CHECK(count_fds(r.parent) == 4);
}

static void test_child_has_what_it_was_sent(void)
{
    news n;
    /* Something that a program would inherit, at the socket's number too. */
    int open_fds[2] = {dup(STDIN_FILENO), fcntl(STDIN_FILENO, F_DUPFD, 500)};
    /* Signals as they should not be, and an input that is not empty. */
    sigset_t mask, before;
    int input = dup(STDIN_FILENO), pair[2];
    make_pipe(pair);
    CHECK(write(pair[1], "input", 5) == 5);
    dup2(pair[0], STDIN_FILENO);
    sigfillset(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    start(&n, "");
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    check_child(&n);
    finish(&n);
    dup2(input, STDIN_FILENO);
    close(input);
    close(pair[0]);
    close(pair[1]);

    start(&n, "old system");
    check_child(&n);
    finish(&n);

    /* The same when the host's end lies where the zygote's will be. */
    close(open_fds[0]);
    start(&n, "");
    check_child(&n);
    int fd = fcntl(lp_zygote_fd(n.zygote), F_GETFD);
    CHECK(fd & FD_CLOEXEC);
    close(open_fds[1]);
    finish(&n);
}

static void test_socket_at_its_own_number(void)
{
    news n;
    int fds[64];
    int count = 0;
    /* Free are 0 and 3, in that order, where nobody has 3 open already. */
    do {
        fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    } while (fds[count++] < 4);
    if (fds[0] == 3) {
        int input = dup(STDIN_FILENO);
        close(STDIN_FILENO);
        close(3);
        start(&n, "");
        CHECK(lp_zygote_fd(n.zygote) == STDIN_FILENO);
        check_child(&n);
        finish(&n);
        dup2(input, STDIN_FILENO);
        close(input);
        fds[0] = -1;
    }
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static void test_too_much(void)
{
    news n;
    static uint8_t bytes[LP_ZYGOTE_BYTES + 1];
    int fds[LP_ZYGOTE_FDS + 1] = {0};
    start(&n, "");
    CHECK(lp_zygote_fork(n.zygote, 1, bytes, sizeof(bytes), NULL, 0) ==
          LP_INVALID);
    CHECK(lp_zygote_fork(n.zygote, 1, "x", 1, fds, COUNT(fds)) == LP_INVALID);
    CHECK(lp_zygote_split(n.zygote, 9999, bytes, sizeof(bytes), &n.zygote) ==
          LP_INVALID);
    finish(&n);
}

/* Send raw bytes where a request should be. */
static void send_raw(news *n, const void *bytes, size_t length)
{
    CHECK(send(lp_zygote_fd(n->zygote), bytes, length, MSG_NOSIGNAL) ==
          (ssize_t)length);
}

static void test_malformed_requests(void)
{
    static uint8_t huge[LP_ZYGOTE_BYTES + 1000];
    news n;
    start(&n, "");
    pid_t pid = pid_of(&n, 1);
    int before = count_fds(pid);

    /* Answered as no request at all, which the host finds corrupt. */
    lp_zygote_header unknown = {.type = 4711};
    memset(huge, 0xff, sizeof(huge));
    send_raw(&n, "short", 5);
    CHECK(await_end(&n) == LP_CORRUPT);
    send_raw(&n, &unknown, sizeof(unknown));
    CHECK(await_end(&n) == LP_CORRUPT);
    send_raw(&n, huge, sizeof(huge));
    CHECK(await_end(&n) == LP_CORRUPT);
    send_raw(&n, "", 0);
    CHECK(await_end(&n) == LP_CORRUPT);

    /* A FORK with the wrong length, and one that does not fit. */
    lp_zygote_header fork_header = {
        .type = LP_ZYGOTE_FORK, .ticket = 2, .length = 1};
    send_raw(&n, &fork_header, sizeof(fork_header));
    await_count(&n, &n.forked, 2);
    CHECK(n.errors[2] == EBADMSG);
    fork_header.ticket = 3;
    fork_header.length = sizeof(huge) - sizeof(fork_header);
    memcpy(huge, &fork_header, sizeof(fork_header));
    send_raw(&n, huge, sizeof(huge));
    await_count(&n, &n.forked, 3);
    CHECK(n.errors[3] == EBADMSG);

    /* A SPLIT with no descriptor and one with two; a KILL that is longer. */
    lp_zygote_header header = {.type = LP_ZYGOTE_SPLIT};
    send_raw(&n, &header, sizeof(header));
    int pair[2];
    make_pipe(pair);
    CHECK(lp_zygote_message_send(lp_zygote_fd(n.zygote), &header, NULL, pair, 2,
                                 0) == LP_OK);
    await_nobody(pair);
    fork_header.type = LP_ZYGOTE_KILL;
    send_raw(&n, &fork_header, sizeof(fork_header));

    CHECK(pid_of(&n, 4) == pid && count_fds(pid) == before);
    finish(&n);
}

static void test_sigint(void)
{
    news n;
    int pair[2];
    start(&n, "");
    pid_t pid = pid_of(&n, 0);
    make_pipe(pair);
    ask(&n, 1, WAIT_BYTE, 0, pair[0]);
    await_count(&n, &n.forked, 2);
    kill(pid, SIGINT);
    kill(n.pids[1], SIGINT);
    CHECK(write(pair[1], "\7", 1) == 1);
    await_count(&n, &n.died, 2);
    CHECK(exited_with(&n, 1, 7));
    ask_shell(&n, 2, "kill -INT $$; exit 3");
    ask_shell(&n, 3, "kill -CHLD $$; exit 3");
    await_count(&n, &n.died, 4);
    CHECK(was_killed_by(&n, 2, SIGINT));
    CHECK(exited_with(&n, 3, 3));
    CHECK(pid_of(&n, 4) == pid);
    close(pair[0]);
    close(pair[1]);
    finish(&n);
}

/* A Ctrl-C that comes before the zygote has looked around. */
static void test_sigint_at_start(void)
{
    news n;
    start(&n, "");
    kill(-getpgrp(), SIGINT);
    ask(&n, 1, EXIT_WITH, 5, -1);
    await_count(&n, &n.died, 1);
    CHECK(exited_with(&n, 1, 5));
    finish(&n);
}

static void test_split(void)
{
    news n, second, third;
    int pair[2];
    char text[sizeof(preloaded)] = "";
    start(&n, "");
    pid_t pid = pid_of(&n, 0);
    split(&n, &second, "some modules");
    await_count(&second, &second.ready, 1);
    CHECK(strcmp(second.text, "ready") == 0);
    split(&second, &third, "shell"); /* one more level, running a program */
    await_count(&third, &third.ready, 1);
    CHECK(strcmp(third.text, "ready") == 0);

    make_pipe(pair);
    ask(&second, 1, SAY_PRELOAD, 0, pair[1]);
    CHECK(read_whole(pair[0], text, sizeof(text)) == sizeof(text));
    CHECK(strcmp(text, "some modules") == 0);
    await_nobody(pair);
    await_count(&second, &second.died, 1);
    CHECK(exited_with(&second, 1, 0));
    check_child(&third);
    pid_t second_pid = pid_of(&second, 2);
    CHECK(second_pid != pid && count_fds(second_pid) == 4);
    CHECK(count_fds(pid) == 4);

    finish(&third);
    await_children(second_pid, 0);
    finish(&second);
    await_children(pid, 0); /* reaped, and nothing said of it */
    ask(&n, 1, EXIT_WITH, 1, -1);
    await_count(&n, &n.died, 2);
    CHECK(exited_with(&n, 1, 1) && n.ready == 0);
    finish(&n);
}

static void test_preload_that_fails(void)
{
    news n, second;
    start(&n, "");
    split(&n, &second, "fail");
    CHECK(await_end(&second) == LP_CLOSED);
    CHECK(second.ready == 1 && strcmp(second.text, "no fail") == 0);
    finish(&second);

    split(&n, &second, "long text"); /* and no end to it */
    CHECK(await_end(&second) == LP_CLOSED);
    CHECK(second.ready == 1 && strlen(second.text) == LP_ZYGOTE_TEXT - 1);
    finish(&second);

    split(&n, &second, "crash");
    CHECK(await_end(&second) == LP_CLOSED);
    CHECK(second.ready == 0);
    finish(&second);

    await_children(pid_of(&n, 1), 0);
    finish(&n);
}

static void test_no_fork(void)
{
    news n, second;
    start(&n, "without fork");
    ask(&n, 1, EXIT_WITH, 0, -1);
    await_count(&n, &n.forked, 1);
    CHECK(n.pids[1] == 0 && n.errors[1] == EAGAIN);
    split(&n, &second, "modules");
    CHECK(await_end(&second) == LP_CLOSED);
    CHECK(second.ready == 1 && strstr(second.text, "cannot fork a zygote: "));
    finish(&second);
    finish(&n);
}

/* Two zygotes with children, all of which hold the writing end of a pipe. */
static void start_crowd(news *n, news *second, int *pair)
{
    make_pipe(pair);
    start(n, "");
    split(n, second, "modules");
    for (uint64_t i = 0; i < 5; i++) {
        ask(n, i, WAIT_EVER, 0, pair[1]);
        ask(second, i, WAIT_EVER, 0, pair[1]);
    }
    await_count(n, &n->forked, 5);
    await_count(second, &second->forked, 5);
}

static void test_host_closes(void)
{
    news n, second;
    int pair[2];
    start_crowd(&n, &second, pair);
    finish(&second);
    finish(&n);
    /* Reaped, not only killed. */
    for (uint64_t i = 0; i < 5; i++)
        CHECK(kill(n.pids[i], 0) != 0 && errno == ESRCH);
    await_nobody(pair);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

/* The host frees the first zygote while it still has the second. */
static void test_first_zygote_is_closed_first(void)
{
    news n, second;
    int pair[2];
    start_crowd(&n, &second, pair);
    finish(&n);
    await_nobody(pair);
    CHECK(await_end(&second) == LP_CLOSED);
    finish(&second);
}

static void test_host_is_killed(void)
{
    static news n, second;
    int pair[2], crowd[2];
    char byte = 0;
    make_pipe(pair);
    pid_t host = fork();
    if (host == 0) {
        start_crowd(&n, &second, crowd);
        /* One child that holds the end which the test watches. */
        ask(&n, 10, WAIT_EVER, 0, pair[1]);
        ask(&second, 10, WAIT_EVER, 0, pair[1]);
        await_count(&n, &n.forked, 6);
        await_count(&second, &second.forked, 6);
        (void)!write(pair[1], "!", 1);
        for (;;)
            pause();
    }
    CHECK(read_whole(pair[0], &byte, 1) == 1 && byte == '!');
    kill(host, SIGKILL);
    CHECK(waitpid(host, NULL, 0) == host);
    await_nobody(pair);
}

static void test_zygote_is_killed(void)
{
    news n, second;
    int pair[2];
    start_crowd(&n, &second, pair);
    kill(pid_of(&n, 20), SIGKILL);
    CHECK(await_end(&n) == LP_CLOSED);
    CHECK(await_end(&second) == LP_CLOSED);
    await_nobody(pair);
    finish(&second);
    finish(&n);
}

/* What a zygote has said is read, also if it had not heard everything. */
static void test_last_words(void)
{
    news n;
    start(&n, "");
    pid_t pid = pid_of(&n, 1);
    ask(&n, 2, WAIT_EVER, 0, -1);
    await_fd(lp_zygote_fd(n.zygote), lp_clock_after(PATIENCE), "an answer");
    kill(pid, SIGSTOP);
    CHECK(waitpid(pid, NULL, WUNTRACED) == pid);
    ask(&n, 3, WAIT_EVER, 0, -1);
    kill(pid, SIGKILL);
    CHECK(await_end(&n) == LP_CLOSED);
    CHECK(n.forked == 2 && n.pids[2] > 0);
    finish(&n);
}

static void test_zygote_reaped_by_another(void)
{
    news n;
    start(&n, "");
    pid_t pid = pid_of(&n, 1);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    finish(&n);
}

/* Nobody reads while they are asked for: the zygote must not wait for it. */
static void test_many_children(void)
{
    enum { MANY = 500 };
    news n;
    start(&n, "");
    pid_t pid = pid_of(&n, MANY);
    int before = count_fds(getpid());
    for (uint64_t i = 0; i < MANY; i++)
        ask(&n, i, EXIT_WITH, (int)(i % 100), (int)(i % 3));
    await_count(&n, &n.died, MANY + 1);
    CHECK(n.forked == MANY + 1 && n.died == MANY + 1);
    for (uint64_t i = 0; i < MANY; i++)
        CHECK(exited_with(&n, i, (int)(i % 100)));
    CHECK(count_children(pid) == 0);
    CHECK(count_fds(pid) == 4);
    CHECK(count_fds(getpid()) == before);
    finish(&n);
}

#define ASKERS 3
#define ASKED  30

typedef struct asker {
    lp_thread thread;
    news *n;
    uint64_t first;
} asker;

static void *ask_some(void *argument)
{
    asker *a = argument;
    static const uint8_t order[] = {EXIT_WITH, 9};
    int fd = STDERR_FILENO;
    for (uint64_t i = 0; i < ASKED; i++) {
        uint64_t ticket = a->first + i;
        if (lp_zygote_fork(a->n->zygote, ticket, order, sizeof(order), &fd,
                           1) != LP_OK)
            abort();
        (void)lp_zygote_kill(a->n->zygote, ticket, SIGKILL);
    }
    return NULL;
}

static void test_several_threads_ask(void)
{
    news n;
    asker askers[ASKERS];
    start(&n, "");
    for (size_t i = 0; i < ASKERS; i++) {
        askers[i].n = &n;
        askers[i].first = i * ASKED;
        CHECK(lp_thread_start(&askers[i].thread, ask_some, &askers[i]) ==
              LP_OK);
    }
    await_count(&n, &n.died, ASKERS * ASKED);
    for (size_t i = 0; i < ASKERS; i++)
        lp_thread_join(&askers[i].thread);
    for (uint64_t i = 0; i < ASKERS * ASKED; i++)
        CHECK(exited_with(&n, i, 9) || was_killed_by(&n, i, SIGKILL));
    finish(&n);
}

static void test_without_memory(void)
{
    static const char *argv[] = {"zygote_test", "--zygote", "%d", "", NULL};
    news n = {0}, second = {0};
    int status;
    long failed = 0;
    do {
        lp_alloc_fail_at(++failed);
        status = lp_zygote_start(program, argv, NULL, &n.zygote);
        lp_alloc_fail_at(0);
        CHECK(status == LP_OK || status == LP_NOMEM);
    } while (status == LP_NOMEM);
    CHECK(failed == 3);
    lp_alloc_fail_at(1);
    CHECK(lp_zygote_split(n.zygote, 9999, "", 0, &second.zygote) == LP_NOMEM);
    lp_alloc_fail_at(0);
    ask(&n, 1, EXIT_WITH, 0, -1);
    await_count(&n, &n.died, 1);
    CHECK(exited_with(&n, 1, 0));
    finish(&n);
    lp_zygote_free(NULL);
}

static void run(const char *name, void (*test)(void))
{
    int before = failures;
    size_t live = lp_alloc_live();
    int fds = count_fds(getpid());
    test();
    CHECK(lp_alloc_live() == live);
    CHECK(count_fds(getpid()) == fds);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    tests++;
    printf("%s %d - zygote: %s\n", failures == before ? "ok" : "not ok", tests,
           name);
    fflush(stdout);
}

static void ignore(int number)
{
    (void)number;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--zygote") == 0)
        return zygote_main((int)strtol(argv[2], NULL, 10), argv[3]);

    /* A group of its own, so that a Ctrl-C in a test stays here. */
    (void)setpgid(0, 0);
    signal(SIGINT, ignore);
    alarm(300);
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        return EXIT_FAILURE;
    run("strangers are found out", test_strangers);
    run("a program that is missing is an error", test_no_program);
    run("a stranger that stays is killed", test_stranger_that_stays);
    run("exit codes are reported", test_exit_codes);
    run("deaths by signal are reported", test_deaths_by_signal);
    run("a child is killed by its ticket", test_kill);
    run("a child has what it was sent, and nothing else",
        test_child_has_what_it_was_sent);
    run("the socket may have its number already",
        test_socket_at_its_own_number);
    run("too much is refused", test_too_much);
    run("malformed requests are refused", test_malformed_requests);
    run("SIGINT is survived, and not by programs", test_sigint);
    run("SIGINT is survived from the start", test_sigint_at_start);
    run("a zygote splits and preloads", test_split);
    run("a preload that fails says why", test_preload_that_fails);
    run("a fork that fails says why", test_no_fork);
    run("nothing is left when the host closes", test_host_closes);
    run("nothing is left when the first is closed first",
        test_first_zygote_is_closed_first);
    run("nothing is left when the host is killed", test_host_is_killed);
    run("nothing is left when the zygote is killed", test_zygote_is_killed);
    run("the last words of a zygote are heard", test_last_words);
    run("a zygote may be reaped by another", test_zygote_reaped_by_another);
    run("500 children leave no zombie and no descriptor", test_many_children);
    run("several threads ask at once", test_several_threads_ask);
    run("starting without memory loses nothing", test_without_memory);
    printf("1..%d\n", tests);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
