/* zygote_message.c - packets with descriptors, whole or not at all. */
#include "workers/zygote_message.h"

#include "base/status.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Change it with everything that one side could misunderstand. */
#define PROTOCOL 1u

typedef struct greeting {
    char magic[8];
    uint32_t protocol;
    uint32_t header_size;
    uint32_t pointer_size;
    uint32_t fds;
} greeting;

static const greeting ours = {"lpool\r\n", PROTOCOL, sizeof(lp_zygote_header),
                              sizeof(void *), LP_ZYGOTE_FDS};

/* Greetings are compared, and headers sent, as the bytes they are. */
_Static_assert(sizeof(greeting) == 24, "a greeting has no padding");
_Static_assert(sizeof(lp_zygote_header) == 24, "a header has no padding");

/* Aligned as the system wants it. */
typedef union ancillary {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * LP_ZYGOTE_FDS)];
} ancillary;

static int send_status(void)
{
    switch (errno) {
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return LP_CLOSED;
    case ENOMEM:
    case ENOBUFS:
        return LP_NOMEM;
    default:
        return LP_SYSTEM;
    }
}

int lp_zygote_message_send(int socket, const lp_zygote_header *header,
                           const void *bytes, const int *fds, size_t fd_count,
                           int flags)
{
    if (header->length > LP_ZYGOTE_BYTES || fd_count > LP_ZYGOTE_FDS)
        return LP_INVALID;
    /* sendmsg reads through these pointers and never writes. */
    struct iovec parts[] = {{(void *)header, sizeof(*header)},
                            {(void *)bytes, header->length}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    ancillary control;
    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *part = CMSG_FIRSTHDR(&packet);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &packet, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? send_status() : LP_OK;
}

/* Take over the descriptors that came; the control buffer has room for them. */
static void take_fds(struct msghdr *packet, lp_zygote_message *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part;
         part = CMSG_NXTHDR(packet, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
            if (message->fd_count < LP_ZYGOTE_FDS) {
                message->fds[message->fd_count++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

int lp_zygote_message_receive(int socket, lp_zygote_message *message, int flags)
{
    lp_zygote_header *header = &message->header;
    struct iovec parts[] = {{header, sizeof(*header)},
                            {message->bytes, message->capacity}};
    ancillary control;
    struct msghdr packet;
    ssize_t received;
    message->fd_count = 0;
    do {
        packet = (struct msghdr){.msg_iov = parts,
                                 .msg_iovlen = 2,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        received = recvmsg(socket, &packet, flags | MSG_CMSG_CLOEXEC);
        /*
         * A peer that ends with messages unread causes one ECONNRESET here,
         * ahead of what it has sent; the end comes behind that.
         */
    } while (received < 0 && (errno == EINTR || errno == ECONNRESET));
    if (received < 0) return LP_SYSTEM;
    take_fds(&packet, message);
    if (received == 0 && message->fd_count == 0) return LP_CLOSED;

    bool has_header = (size_t)received >= sizeof(*header);
    if (!has_header) memset(header, 0, sizeof(*header));
    if (packet.msg_flags & MSG_CTRUNC) {
        errno = EMFILE;
        return LP_CORRUPT;
    }
    if (!has_header || (packet.msg_flags & MSG_TRUNC) ||
        (size_t)received - sizeof(*header) != header->length) {
        errno = EBADMSG;
        return LP_CORRUPT;
    }
    return LP_OK;
}

void lp_zygote_message_drop(lp_zygote_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++)
        close(message->fds[i]);
    message->fd_count = 0;
}

int lp_zygote_message_greet(int socket)
{
    lp_zygote_header header = {.type = LP_ZYGOTE_HELLO, .length = sizeof(ours)};
    return lp_zygote_message_send(socket, &header, &ours, NULL, 0, 0);
}

bool lp_zygote_message_is_greeting(const lp_zygote_message *message)
{
    return message->header.type == LP_ZYGOTE_HELLO &&
           message->header.length == sizeof(ours) &&
           memcmp(message->bytes, &ours, sizeof(ours)) == 0;
}
