/*
 * status.h - what functions inside the runtime return.
 *
 * 0 is success, everything else is negative. The public codes LPOOL_E... in
 * lpool.h have the same values; api checks that they agree.
 */
#ifndef LP_BASE_STATUS_H
#define LP_BASE_STATUS_H

typedef enum lp_status {
    LP_OK = 0,
    LP_NOMEM = -1,       /* memory is short */
    LP_CLOSED = -2,      /* the executor takes no more work */
    LP_BROKEN = -3,      /* the executor broke: an initializer failed */
    LP_TIMEOUT = -4,     /* the deadline passed first */
    LP_INTERRUPTED = -5, /* a signal ended the wait */
    LP_UNSENDABLE = -6,  /* a value cannot cross; the message says which */
    LP_CORRUPT = -7,     /* bytes that no encoder of ours wrote */
    LP_INVALID = -8,     /* an argument or a state that does not fit */
    LP_SYSTEM = -9,      /* the system refused: see errno */
    LP_FAILED = -10,     /* Lua code raised an error */
    LP_DEEP = -11,       /* executors are nested too deep */
    LP_FULL = -12,       /* no more tasks may be pending */
    LP_CROWDED = -13,    /* no more priorities can be pending */
    LP_DEADLOCK = -14,   /* tasks wait for each other, for ever */
    LP_NOHELPER = -20,   /* process pools have no helper program */
    LP_VERSION = -21,    /* lpool or Lua is of another version */
    LP_THREAD = -22,     /* a Lua state of another thread; debug builds */
} lp_status;

/* What a status means, in words; never NULL. */
const char *lp_status_text(int status);

#endif
