/*
 * bundle.h - the Lua modules that are compiled into the program.
 *
 * The build turns every file under lua/ into bytecode (runtime/tools), so
 * that `require "lpool"` needs no file and no parser. The modules are
 * constants: any thread may look at them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_VM_BUNDLE_H
#define LP_VM_BUNDLE_H

#include <lua.h>
#include <stddef.h>

typedef struct lp_bundle_module {
    const char *name; /* as require knows it, such as "lpool.options" */
    const unsigned char *bytes;
    size_t length;
} lp_bundle_module;

/* All modules, up to an entry whose name is NULL. */
const lp_bundle_module *lp_bundle_list(void);

/* The module of that name; NULL if absent. */
const lp_bundle_module *lp_bundle_find(const char *name);

/*
 * Push the chunk of module name, ready to be called as require calls a
 * loader. [-0, +1, m] 0, or LP_INVALID if there is no such module or
 * LP_FAILED if it does not compile, with a string on the stack saying so.
 * A file of that module under the folder LPOOL_LUA_DIR comes first, unless
 * L ignores the environment (`lpool -E`).
 */
int lp_bundle_load(lua_State *L, const char *name);

#endif
