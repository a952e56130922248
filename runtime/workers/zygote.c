/* zygote.c - starting a helper process, asking it, hearing from it. */
#include "workers/zygote.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "workers/zygote_message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the new process finds its socket, and the same in its arguments. */
#define SOCKET_FD   3
#define SOCKET_TEXT '3'

/* How long a zygote may take to end. */
#define END_GRACE INT64_C(2000000000)

struct lp_zygote {
    const lp_allocator *allocator;
    int socket;   /* immutable */
    pid_t pid;    /* immutable; 0 if it is not a child of this process */
    bool greeted; /* reader only: the first message has come, and was right */
};

/*
 * A zygote without a process, and the other end of its socket, given to the
 * caller. 0, LP_NOMEM or LP_SYSTEM.
 */
static int new_zygote(const lp_allocator *allocator, lp_zygote **zygote,
                      int *peer)
{
    int pair[2];
    lp_zygote *created = lp_calloc(allocator, 1, sizeof(*created));
    if (!created) return LP_NOMEM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        lp_free(created);
        return LP_SYSTEM;
    }
    created->allocator = allocator;
    created->socket = pair[0];
    *zygote = created;
    *peer = pair[1];
    return LP_OK;
}

/* Copy text with the socket's number for each "%d"; where the copy ends. */
static char *copy_argument(char *to, const char *text)
{
    while (*text) {
        if (text[0] == '%' && text[1] == 'd') {
            *to++ = SOCKET_TEXT;
            text += 2;
        } else {
            *to++ = *text++;
        }
    }
    *to++ = '\0';
    return to;
}

/* The arguments as the program gets them, in one block. NULL: no memory. */
static char **copy_arguments(const char *const *argv,
                             const lp_allocator *allocator)
{
    size_t count = 0, bytes = 0;
    for (; argv[count]; count++)
        bytes += strlen(argv[count]) + 1;
    size_t table = (count + 1) * sizeof(char *);
    char **copy = lp_alloc(allocator, table + bytes);
    if (!copy) return NULL;
    char *text = (char *)copy + table;
    for (size_t i = 0; i < count; i++) {
        copy[i] = text;
        text = copy_argument(text, argv[i]);
    }
    copy[count] = NULL;
    return copy;
}

/*
 * Signals are as in a fresh program, whatever the host did with them; only
 * SIGINT and SIGQUIT wait until the zygote has its handler. An error number,
 * or 0.
 */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, waiting;
    sigfillset(&all);
    sigemptyset(&waiting);
    sigaddset(&waiting, SIGINT);
    sigaddset(&waiting, SIGQUIT);
    int error = posix_spawnattr_setsigdefault(attributes, &all);
    if (!error) error = posix_spawnattr_setsigmask(attributes, &waiting);
    if (error) return error;
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETSIGMASK);
}

/* Run the program with its end of the socket. An error number, or 0. */
static int spawn(const char *program, char **argv, int peer, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawnattr_init(&attributes);
    if (error) goto without_attributes;

    error = set_attributes(&attributes);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, peer, SOCKET_FD);
    if (!error)
        error = posix_spawn(pid, program, &actions, &attributes, argv, environ);

    posix_spawnattr_destroy(&attributes);
without_attributes:
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* A descriptor duplicated onto itself might stay close-on-exec: have another.
 */
static int leave_socket_fd(int *peer)
{
    if (*peer != SOCKET_FD) return LP_OK;
    int moved = fcntl(*peer, F_DUPFD_CLOEXEC, SOCKET_FD + 1);
    if (moved < 0) return LP_SYSTEM;
    close(*peer);
    *peer = moved;
    return LP_OK;
}

int lp_zygote_start(const char *program, const char *const *argv,
                    const lp_allocator *allocator, lp_zygote **zygote)
{
    int peer = -1;
    lp_zygote *created = NULL;
    char **arguments = copy_arguments(argv, allocator);
    if (!arguments) return LP_NOMEM;
    int status = new_zygote(allocator, &created, &peer);
    if (status == LP_OK) status = leave_socket_fd(&peer);
    int error = errno;
    if (status == LP_OK) {
        error = spawn(program, arguments, peer, &created->pid);
        if (error) {
            created->pid = 0; /* unspecified after a failure */
            status = LP_SYSTEM;
        }
    }
    if (peer >= 0) close(peer);
    lp_free(arguments);
    if (status == LP_OK) {
        *zygote = created;
    } else {
        lp_zygote_free(created);
    }
    errno = error;
    return status;
}

int lp_zygote_split(lp_zygote *zygote, uint64_t ticket, const void *bytes,
                    size_t length, lp_zygote **out)
{
    int peer;
    lp_zygote *created;
    if (length > LP_ZYGOTE_BYTES) return LP_INVALID;
    int status = new_zygote(zygote->allocator, &created, &peer);
    if (status != LP_OK) return status;
    lp_zygote_header header = {
        .type = LP_ZYGOTE_SPLIT, .ticket = ticket, .length = (uint32_t)length};
    status =
        lp_zygote_message_send(zygote->socket, &header, bytes, &peer, 1, 0);
    int error = errno;
    close(peer);
    if (status == LP_OK) {
        *out = created;
    } else {
        lp_zygote_free(created);
    }
    errno = error;
    return status;
}

bool lp_zygote_has_greeted(const lp_zygote *zygote)
{
    return zygote->greeted;
}

int lp_zygote_fd(const lp_zygote *zygote)
{
    return zygote->socket;
}

int lp_zygote_fork(lp_zygote *zygote, uint64_t ticket, const void *bytes,
                   size_t length, const int *fds, size_t fd_count)
{
    if (length > LP_ZYGOTE_BYTES) return LP_INVALID;
    lp_zygote_header header = {
        .type = LP_ZYGOTE_FORK, .ticket = ticket, .length = (uint32_t)length};
    return lp_zygote_message_send(zygote->socket, &header, bytes, fds, fd_count,
                                  0);
}

int lp_zygote_kill(lp_zygote *zygote, uint64_t ticket, int signal)
{
    lp_zygote_header header = {
        .type = LP_ZYGOTE_KILL, .number = signal, .ticket = ticket};
    return lp_zygote_message_send(zygote->socket, &header, NULL, NULL, 0, 0);
}

/* Call the event that a message stands for. 0 or LP_CORRUPT. */
static int tell(lp_zygote *zygote, const lp_zygote_message *message,
                const lp_zygote_events *events, void *context)
{
    const lp_zygote_header *header = &message->header;
    if (!zygote->greeted) {
        zygote->greeted = lp_zygote_message_is_greeting(message);
        return zygote->greeted ? LP_OK : LP_CORRUPT;
    }
    switch (header->type) {
    case LP_ZYGOTE_FORKED:
        events->forked(context, header->ticket, header->pid, header->number);
        return LP_OK;
    case LP_ZYGOTE_DIED:
        events->died(context, header->ticket, header->pid, header->number);
        return LP_OK;
    case LP_ZYGOTE_READY:
        events->ready(context, NULL);
        return LP_OK;
    case LP_ZYGOTE_BROKEN:
        message->bytes[header->length] = '\0';
        events->ready(context, (const char *)message->bytes);
        return LP_OK;
    default:
        return LP_CORRUPT;
    }
}

int lp_zygote_read(lp_zygote *zygote, const lp_zygote_events *events,
                   void *context)
{
    uint8_t bytes[LP_ZYGOTE_TEXT + 1]; /* and the end of the text */
    lp_zygote_message message = {.bytes = bytes, .capacity = LP_ZYGOTE_TEXT};
    for (;;) {
        int status =
            lp_zygote_message_receive(zygote->socket, &message, MSG_DONTWAIT);
        if (status == LP_SYSTEM && errno == EAGAIN) return LP_OK;
        if (status == LP_OK || status == LP_CORRUPT)
            lp_zygote_message_drop(&message);
        if (status == LP_OK) status = tell(zygote, &message, events, context);
        if (status != LP_OK) return status;
    }
}

void lp_zygote_stop(lp_zygote *zygote)
{
    (void)shutdown(zygote->socket, SHUT_WR); /* fails if it is gone already */
}

/* See to it that the process ends, and take it from the system's books. */
static void end_process(int socket, pid_t pid)
{
    /* The zygote ends when it hears nothing more, and its socket with it. */
    struct pollfd peer = {.fd = socket};
    int64_t deadline = lp_clock_after(END_GRACE);
    int64_t left = END_GRACE;
    (void)shutdown(socket, SHUT_WR); /* fails if it has ended already */
    while (left > 0 && poll(&peer, 1, (int)(left / 1000000) + 1) < 0)
        left = deadline - lp_clock_now(); /* a signal */

    /* It is ending, or late, or no zygote; or somebody else has reaped it. */
    if (waitpid(pid, NULL, WNOHANG) != 0) return;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

void lp_zygote_free(lp_zygote *zygote)
{
    if (!zygote) return;
    if (zygote->pid > 0) end_process(zygote->socket, zygote->pid);
    close(zygote->socket);
    lp_free(zygote);
}
