/*
 * zygote_message.h - what a host and a zygote say to each other.
 *
 * A message is one packet on a socket of type SOCK_SEQPACKET: a header, the
 * bytes behind it, and descriptors beside it. Packets are sent whole or not
 * at all, so several threads may send on one socket.
 */
#ifndef LP_WORKERS_ZYGOTE_MESSAGE_H
#define LP_WORKERS_ZYGOTE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that one message carries. */
#define LP_ZYGOTE_BYTES ((size_t)64 << 10)
#define LP_ZYGOTE_FDS   ((size_t)32)

/* Room for the text that says why a preload failed. */
#define LP_ZYGOTE_TEXT ((size_t)4096)

typedef enum lp_zygote_type {
    /* From the host. */
    LP_ZYGOTE_FORK = 1, /* ticket; bytes and descriptors for the child */
    LP_ZYGOTE_KILL,     /* ticket; number is the signal */
    LP_ZYGOTE_SPLIT,    /* bytes to preload, and the new zygote's socket */
    /* From the zygote. */
    LP_ZYGOTE_HELLO,  /* the first of all: see greet */
    LP_ZYGOTE_READY,  /* a new zygote has preloaded */
    LP_ZYGOTE_BROKEN, /* or could not; bytes say why */
    LP_ZYGOTE_FORKED, /* ticket; pid, or 0 and number is an errno */
    LP_ZYGOTE_DIED,   /* ticket; pid; number is the wait status */
    LP_ZYGOTE_REFUSED /* that was no request; number is an errno */
} lp_zygote_type;

typedef struct lp_zygote_header {
    uint32_t type;
    int32_t number;
    uint64_t ticket;
    int32_t pid;
    uint32_t length; /* of the bytes that follow */
} lp_zygote_header;

typedef struct lp_zygote_message {
    lp_zygote_header header;
    uint8_t *bytes; /* borrowed: where to receive them */
    size_t capacity;
    int fds[LP_ZYGOTE_FDS];
    size_t fd_count;
} lp_zygote_message;

/*
 * Send one message; header->length says how many bytes, flags are those of
 * sendmsg. Descriptors are borrowed. 0; LP_CLOSED if nobody is there to read
 * it; LP_INVALID if it is too large; LP_NOMEM; LP_SYSTEM, with EAGAIN if it
 * would block and must not.
 */
int lp_zygote_message_send(int socket, const lp_zygote_header *header,
                           const void *bytes, const int *fds, size_t fd_count,
                           int flags);

/*
 * Receive one message; flags are those of recvmsg. Its descriptors, which
 * are close-on-exec, are the caller's, who drops what it does not take. 0;
 * LP_CLOSED; LP_SYSTEM, with EAGAIN if there is none; LP_CORRUPT if it is not
 * whole: errno says whether it came so (EBADMSG) or descriptors were lost
 * here (EMFILE), and the header is all zeroes if that is missing too.
 */
int lp_zygote_message_receive(int socket, lp_zygote_message *message,
                              int flags);

/* Close the descriptors of a message. */
void lp_zygote_message_drop(lp_zygote_message *message);

/* Say which protocol this side speaks. As send. */
int lp_zygote_message_greet(int socket);

/* Whether this is the greeting of a zygote with the same protocol. */
bool lp_zygote_message_is_greeting(const lp_zygote_message *message);

#endif
