/*
 * prototype.c - functions in the library, and closures out of it.
 *
 * A function that captures nothing is kept as lua_dump writes it; a state
 * loads it once. For any other we assemble a factory: bytecode of
 *
 *     function(a, b, c) return <the function, capturing a, b, c> end
 *
 * A state loads the factory once, and calls it whenever a closure arrives:
 * that is a fresh closure with fresh upvalues, without loading anything.
 */
#include "codec/prototype.h"

#include "base/hash.h"
#include "codec/culprit.h"
#include "codec/globals.h"

#include <lauxlib.h>
#include <string.h>

static int write_dump(lua_State *L, const void *bytes, size_t length,
                      void *data)
{
    (void)L;
    return lp_buffer_append(data, bytes, length);
}

/* Dump the function at index into dump. [-0, +0, m] */
static int dump_function(lua_State *L, int index, lp_buffer *dump)
{
    dump->length = 0;
    lua_pushvalue(L, index);
    int status = lua_dump(L, write_dump, dump, 0);
    lua_pop(L, 1);
    return status == 0 ? LP_OK : LP_NOMEM;
}

static uint32_t instruction(uint32_t op, uint32_t a, uint32_t rest)
{
    return op | a << 7 | rest << 15;
}

/*
 * Append a factory to entry for the function in dump. Numbers below 128 are
 * one byte with the top bit set; 0x81 is 1, and 0x80 is 0 or nothing.
 */
static int assemble(lp_buffer *entry, const lp_buffer *dump,
                    const lp_layout *layout)
{
    unsigned count = layout->upvalue_count;
    const uint8_t start[] = {0 /* upvalues */,
                             0x80 /* source */,
                             0x80,
                             0x80,
                             (uint8_t)count /* parameters */,
                             0,
                             (uint8_t)(count + 2) /* stack */,
                             0x82};
    const uint32_t code[] = {
        instruction(LP_OP_CLOSURE, count, 0),
        /* one result; k says that there are upvalues to close */
        instruction(LP_OP_RETURN, count, 1 | 2 << 1),
    };
    const uint8_t middle[] = {0x80 /* constants */, 0x80 /* upvalues */,
                              0x81 /* functions */};
    const uint8_t end[] = {0x80, 0x80, 0x80, 0x80}; /* debug information */
    size_t length = dump->length - layout->function;
    size_t header = layout->function - 1;

    if (lp_buffer_append(entry, dump->bytes, header) != 0 ||
        lp_buffer_append(entry, start, sizeof(start)) != 0 ||
        lp_buffer_append(entry, code, sizeof(code)) != 0 ||
        lp_buffer_append(entry, middle, sizeof(middle)) != 0)
        return LP_NOMEM;

    size_t function = entry->length;
    if (lp_buffer_append(entry, dump->bytes + layout->function, length) != 0 ||
        lp_buffer_append(entry, end, sizeof(end)) != 0)
        return LP_NOMEM;
    uint8_t *upvalue =
        entry->bytes + function + (layout->upvalues - layout->function);
    for (unsigned i = 0; i < count; i++, upvalue += 3) {
        upvalue[0] = 1; /* it is in the factory's stack, */
        upvalue[1] = (uint8_t)i;
    }
    return LP_OK;
}

/* Keep the function in E->dump in the library. */
static int keep(lp_encoder *E, const lp_layout *layout, bool captures,
                uint32_t *number)
{
    uint8_t kind = LP_ENTRY_PLAIN;

    if (captures) {
        kind = layout->upvalue_count <= LP_FACTORY_UPVALUES ? LP_ENTRY_FACTORY
                                                            : LP_ENTRY_DUMP;
    }
    E->entry.length = 0;
    if (lp_buffer_append(&E->entry, &kind, sizeof(kind)) != 0) return LP_NOMEM;
    int status =
        kind == LP_ENTRY_FACTORY
            ? assemble(&E->entry, &E->dump, layout)
            : lp_buffer_append(&E->entry, E->dump.bytes, E->dump.length);
    if (status == LP_OK) {
        status = lp_library_keep(E->codec->config.library, E->entry.bytes,
                                 E->entry.length, number);
    }
    if (status == LP_INVALID) {
        return lp_culprit_blame(E, "one function more than there is room for",
                                "");
    }
    return status;
}

/* Without debug information: the upvalues that hold the globals. */
static void find_environments(lua_State *L, const lp_encoder *E, int index,
                              lp_layout *layout)
{
    for (unsigned i = 0; i < layout->upvalue_count; i++) {
        lua_getupvalue(L, index, (int)i + 1);
        layout->environments[i] = lua_topointer(L, -1) == E->codec->globals;
        lua_pop(L, 1);
    }
}

/*
 * Push a list of the names among accesses, and append an lp_global for each
 * to globals. [-0, +1, m]
 */
static int list_globals(lua_State *L, const lp_encoder *E,
                        const lp_buffer *accesses, lp_buffer *globals)
{
    int top = lua_gettop(L);
    size_t count = accesses->length / sizeof(lp_access);
    lua_Integer names = 0;

    lua_newtable(L); /* the list */
    lua_newtable(L); /* name -> index */
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_STANDARD);
    for (size_t i = 0; i < count; i++) {
        lp_access access;
        memcpy(&access, accesses->bytes + i * sizeof(access), sizeof(access));
        if (access.length >= LP_SHARED_STRING) continue; /* absurd */
        lua_pushlstring(L, access.name, access.length);
        lua_pushvalue(L, -1);
        lua_rawget(L, top + 2);
        lua_Integer at = lua_tointeger(L, -1);
        if (at == 0) {
            lp_global global = {0};
            lua_pushvalue(L, -2);
            lua_rawget(L, top + 3);
            global.standard = lua_topointer(L, -1);
            if (lp_buffer_append(globals, &global, sizeof(global)) != 0)
                return LP_NOMEM;
            at = ++names;
            lua_pushvalue(L, top + 4);
            lua_rawseti(L, top + 1, at);
            lua_pushvalue(L, top + 4);
            lua_pushinteger(L, at);
            lua_rawset(L, top + 2);
        }
        lp_global *global = (lp_global *)(void *)globals->bytes + (at - 1);
        if (access.assigns) {
            global->assigned = true;
        } else {
            global->read = true;
        }
        lua_settop(L, top + 3);
    }
    lua_settop(L, top + 1);
    return LP_OK;
}

/* Push a record made of what was found out; the names are at the top. */
static lp_prototype *push_record(lua_State *L, const lp_encoder *E,
                                 const lp_layout *layout,
                                 const lp_buffer *globals)
{
    lp_prototype *made = lua_newuserdatauv(
        L, sizeof(*made) + globals->length + E->dump.length, 1);

    memset(made, 0, sizeof(*made));
    made->upvalues = layout->upvalue_count;
    for (unsigned i = 0; i < layout->upvalue_count; i++) {
        made->environments[i + 1] = layout->environments[i];
        if (!layout->environments[i]) {
            made->captures = true;
        } else if (made->environment == 0) {
            made->environment = i + 1;
        }
    }
    made->global_count = (uint32_t)(globals->length / sizeof(lp_global));
    if (globals->length > 0)
        memcpy(made->globals, globals->bytes, globals->length);
    uint8_t *dump = (uint8_t *)(made->globals + made->global_count);
    memcpy(dump, E->dump.bytes, E->dump.length);
    made->dump = dump;
    made->dump_length = E->dump.length;
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    return made;
}

/* Push a new prototype for the function at index, dumped. [-0, +1, m] */
static int make(lua_State *L, lp_encoder *E, int index,
                const lp_prototype **found)
{
    lp_layout layout;
    bool assigns;
    const lp_buffer *dump = &E->dump;
    int status = lp_globals_layout(dump->bytes, dump->length, &layout);

    if (status == LP_OK && !layout.named)
        find_environments(L, E, index, &layout);
    E->entry.length = 0;
    E->globals.length = 0;
    if (status == LP_OK) {
        status = lp_globals_scan(dump->bytes, dump->length, &layout, &E->entry,
                                 &assigns);
    }
    if (status == LP_CORRUPT)
        return lp_culprit_blame(E, "a function whose bytecode is unknown", "");
    if (status == LP_OK) status = list_globals(L, E, &E->entry, &E->globals);
    if (status != LP_OK) return status;

    lp_prototype *made = push_record(L, E, &layout, &E->globals);
    made->assigns = assigns && made->captures;
    *found = made;
    return keep(E, &layout, made->captures, &made->number);
}

/*
 * Push the prototype of the same code as the function in E->dump, or nil.
 * [-0, +1, -]
 */
static const lp_prototype *push_equal(lua_State *L, const lp_encoder *E,
                                      lua_Integer hash)
{
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_PROTOTYPES);
    lua_rawgeti(L, -1, hash);
    lua_remove(L, -2);

    const lp_prototype *found = lua_touserdata(L, -1);
    if (!found || found->dump_length != E->dump.length ||
        memcmp(found->dump, E->dump.bytes, E->dump.length) != 0)
        return NULL;
    return found;
}

/* Find the prototype the slow way, and push it. [-0, +1, m] */
static int find(lua_State *L, lp_encoder *E, int index,
                const lp_prototype **found)
{
    int top = lua_gettop(L);
    int status = dump_function(L, index, &E->dump);
    if (status != LP_OK) return status;

    lua_Integer hash =
        (lua_Integer)lp_hash_bytes(E->dump.bytes, E->dump.length);
    *found = push_equal(L, E, hash);
    if (!*found) {
        lua_settop(L, top);
        status = make(L, E, index, found);
        if (status != LP_OK) return status;
        lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_PROTOTYPES);
        lua_pushvalue(L, top + 1);
        lua_rawseti(L, top + 2, hash);
        lua_settop(L, top + 1);
    }
    return LP_OK;
}

int lp_prototype_push(lua_State *L, lp_encoder *E, const lp_prototype **found)
{
    int top = lua_gettop(L);

    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_FUNCTIONS);
    lua_pushvalue(L, top);
    lua_rawget(L, top + 1);
    *found = lua_touserdata(L, top + 2);
    if (*found) return LP_OK;

    lua_settop(L, top + 1);
    int status = find(L, E, top, found);
    if (status != LP_OK) return status;
    lua_pushvalue(L, top);
    lua_pushvalue(L, top + 2);
    lua_rawset(L, top + 1);
    return LP_OK;
}

/*
 * Whether the layout of the probe and what it does are as they should be: 0,
 * LP_CORRUPT or LP_NOMEM.
 */
static int compare_probe(const lp_buffer *dump, lp_buffer *accesses)
{
    static const char *const names[] = {"a", "b", "c"};
    lp_layout layout;
    lp_access access[3];
    uint32_t code[4];
    bool assigns;

    if (lp_globals_layout(dump->bytes, dump->length, &layout) != LP_OK ||
        layout.upvalue_count != 1 || !layout.environments[0])
        return LP_CORRUPT;
    int status =
        lp_globals_scan(dump->bytes, dump->length, &layout, accesses, &assigns);
    if (status != LP_OK) return status;
    if (accesses->length != sizeof(access) || assigns) return LP_CORRUPT;
    memcpy(access, accesses->bytes, sizeof(access));
    for (size_t i = 0; i < 3; i++) {
        if (access[i].length != 1 || access[i].name[0] != names[i][0] ||
            access[i].assigns != (i == 1))
            return LP_CORRUPT;
    }

    if (layout.code + sizeof(code) > dump->length) return LP_CORRUPT;
    memcpy(code, dump->bytes + layout.code, sizeof(code));
    return code[2] == instruction(LP_OP_CLOSURE, 1, 0) &&
                   code[3] ==
                       instruction(LP_OP_RETURN, 1,
                                   1 | 2 << 1 | 1 << 9 /* it is vararg */)
               ? LP_OK
               : LP_CORRUPT;
}

void lp_prototype_check(lua_State *L, const lp_allocator *allocator)
{
    static const char probe[] =
        "local x; return function() x = a; b = _ENV; return c end";
    lp_buffer dump;
    lp_buffer accesses;

    if (luaL_loadbufferx(L, probe, sizeof(probe) - 1, "=probe", "t") != LUA_OK)
        lua_error(L);
    lp_buffer_init(&dump, allocator);
    lp_buffer_init(&accesses, allocator);
    int status = dump_function(L, lua_gettop(L), &dump);
    unsigned version = dump.length > 4 ? dump.bytes[4] : 0;
    if (status == LP_OK)
        status = lp_globals_check_header(dump.bytes, dump.length)
                     ? compare_probe(&dump, &accesses)
                     : LP_CORRUPT;
    lp_buffer_clear(&dump);
    lp_buffer_clear(&accesses);
    lua_pop(L, 1);
    if (status == LP_NOMEM) luaL_error(L, "not enough memory");
    if (status != LP_OK) {
        luaL_error(L,
                   "this Lua's bytecode has format %d.%d or is changed; "
                   "lpool reads 5.4 as its makers ship it",
                   (int)(version >> 4), (int)(version & 15));
    }
}
