/* status.c - statuses in words. */
#include "base/status.h"

const char *lp_status_text(int status)
{
    switch ((lp_status)status) {
    case LP_OK:
        return "success";
    case LP_NOMEM:
        return "not enough memory";
    case LP_CLOSED:
        return "the executor was shut down";
    case LP_BROKEN:
        return "the executor is broken";
    case LP_TIMEOUT:
        return "the timeout has passed";
    case LP_INTERRUPTED:
        return "interrupted";
    case LP_UNSENDABLE:
        return "a value cannot cross";
    case LP_CORRUPT:
        return "corrupt bytes";
    case LP_INVALID:
        return "an argument or a state that does not fit";
    case LP_SYSTEM:
        return "the system refused";
    case LP_FAILED:
        return "an error was raised";
    case LP_DEADLOCK:
        return "tasks of an executor wait for each other, for ever";
    case LP_DEEP:
        return "executors are nested too deep";
    case LP_FULL:
        return "the queue is full";
    case LP_CROWDED:
        return "too many different priorities are pending";
    case LP_NOHELPER:
        return "there is no helper program for process pools";
    case LP_THREAD:
        return "the Lua state belongs to another thread";
    case LP_VERSION:
        return "lpool or Lua is of another version than expected";
    }
    return "an unknown status";
}
