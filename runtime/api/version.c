/* version.c - whether a program and this library fit together. */
#include "api/api.h"
#include "base/status.h"

const char *lpool_version(void)
{
    return LP_VERSION_TEXT;
}

int lpool_check_version(int major, int minor, int lua)
{
    /* Before 1.0.0 a minor version may break what an earlier one promised. */
    bool same = major == LPOOL_VERSION_MAJOR &&
                (major > 0 ? minor <= LPOOL_VERSION_MINOR
                           : minor == LPOOL_VERSION_MINOR);
    return same && lua == LUA_VERSION_NUM ? LP_OK : LP_VERSION;
}
