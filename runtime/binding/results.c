/*
 * results.c - what ex:map returns: results that are called for the next item.
 *
 * Sequences and ranges are submitted whole when the results are made. An
 * iterator is read as the consumer goes on: never more than a window of items
 * ahead of him. Without a given buffersize the window begins small and grows
 * while the consumer is found waiting, so that tiny tasks travel in large
 * groups and slow ones do not make anybody read far ahead.
 */
#include "binding/binding.h"

#include <limits.h>
#include <string.h>

#define RESULTS_TYPE "lpool.results"

#define WINDOW_LIMIT 4096u
/* Look after this long whether a result can be handed out already. */
#define READ_NANOSECONDS 1000000
/* Submit items that were read when there are so many. */
#define READ_GROUP 256u

/* Results that are integers, taken from the map for the next calls. */
#define TAKEN_AHEAD 64u

/* User values: 1 the iterator, or the list that is read; 2 the executor. */
typedef struct results {
    const void *type; /* &results_type: quicker than the metatable's name */
    lpool_map *map;
    bool closed;
    bool asking;       /* the iterator is running */
    bool reads;        /* the input may have more */
    bool spread;       /* each item is a list of arguments */
    int refused;       /* why the executor took no more of it; or 0 */
    lua_Integer next;  /* of a list: the next element to read */
    lua_Integer count; /* of a list: its elements; -1: an iterator */
    bool strict;       /* the window is the caller's */
    uint64_t window;
    int64_t timeout;  /* as given */
    int64_t deadline; /* -1: none */
    uint64_t number;  /* of the next that was taken ahead */
    size_t ahead;     /* how many there are */
    const int64_t *value;
    int64_t values[TAKEN_AHEAD];
} results;

static const char results_type;

static results *check_results(lua_State *L, int index)
{
    return luaL_checkudata(L, index, RESULTS_TYPE);
}

/* The same for index 1, for what is called for each item. */
static results *called_results(lua_State *L)
{
    results *self = lua_touserdata(L, 1);
    if (self && lua_rawlen(L, 1) == sizeof(*self) &&
        self->type == &results_type)
        return self;
    return check_results(L, 1);
}

static void close_results(results *self, bool cancel)
{
    self->closed = true;
    self->ahead = 0;
    self->reads = false;
    if (self->map) lpool_map_close(self->map, cancel);
}

/* ---- reading the iterator ---- */

/*
 * Submit what was read. If the executor takes no more, what it took before
 * is still delivered.
 */
static void flush(results *self)
{
    int status = lpool_map_flush(self->map);
    if (status == LPOOL_OK) return;
    self->refused = status;
    self->reads = false;
}

/* An item could not be read: what has not begun shall not. */
static int fail_reading(lua_State *L, results *self, int status)
{
    close_results(self, true);
    if (status == LUA_OK) return lua_error(L);
    return lp_raise_status(L, status, NULL);
}

/* Add the values above top as an item. */
static void add_item(lua_State *L, results *self, int top)
{
    int status;
    if (self->spread && !lua_istable(L, top + 1)) {
        const char *found = luaL_typename(L, top + 1);
        close_results(self, true);
        luaL_error(L, "starmap: an item must be a list of arguments, got %s",
                   found);
    }
    if (self->spread) {
        lua_settop(L, top + 1);
        lua_createtable(L, 1, 0); /* a list of this one list */
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        status = lpool_map_add_list(L, self->map, top + 1, 1, 1, true);
    } else {
        status = lpool_map_add(L, self->map, lua_gettop(L) - top);
    }
    if (status != LPOOL_OK) fail_reading(L, self, status);
    lua_settop(L, top);
}

/* Read one item; false at the end of the input, which may raise. */
static bool read_item(lua_State *L, results *self)
{
    int top = lua_gettop(L);
    if (!self->reads) return false;
    lua_getiuservalue(L, 1, 1);
    if (self->count >= 0) {
        self->reads = self->next < self->count;
        if (self->reads) {
            lua_geti(L, -1, ++self->next); /* may be a range */
            lua_replace(L, top + 1);
        }
    } else {
        self->asking = true;
        int failed = lua_pcall(L, 0, LUA_MULTRET, 0);
        self->asking = false;
        if (failed) fail_reading(L, self, LUA_OK);
        self->reads =
            !self->closed && lua_gettop(L) > top && !lua_isnil(L, top + 1);
    }
    if (self->reads) add_item(L, self, top);
    lua_settop(L, top);
    return self->reads;
}

/* Read ahead as far as the window allows, or until a result is there. */
static void read_ahead(lua_State *L, results *self)
{
    if (self->closed) return;
    uint64_t pending = lpool_map_pending(self->map);
    if (pending >= self->window) return;
    if (pending == 0 && !self->strict && self->window < WINDOW_LIMIT)
        self->window *= 2;
    /* Half a window at a time, so that groups are worth their while. */
    if (!self->strict && pending > self->window / 2) return;
    int64_t started = lpool_now();
    unsigned gathered = 0;
    while (pending < self->window && read_item(L, self)) {
        pending++;
        int64_t now = lpool_now();
        bool late = now - started > READ_NANOSECONDS;
        if (!late && ++gathered < READ_GROUP) continue;
        flush(self);
        if (late && lpool_map_is_ready(self->map)) return;
        gathered = 0;
        started = now;
    }
    flush(self);
}

/* ---- the next item ---- */

static int raise_timeout(lua_State *L, results *self)
{
    int unfinished = (int)lpool_map_pending(self->map);
    close_results(self, true);
    return lp_raise(L, "TimeoutError",
                    "the map timed out after %f seconds; %d results were not "
                    "taken",
                    lp_seconds(self->timeout), unfinished);
}

/* The executor took no more of the input, and all that it took is delivered. */
static int raise_refusal(lua_State *L, results *self)
{
    int status = self->refused;
    close_results(self, true);
    lua_getiuservalue(L, 1, 2);
    return lp_raise_status(L, status, lpool_test_executor(L, -1));
}

/* How long the next item may take; 0 past the deadline. */
static int64_t time_left(const results *self)
{
    if (self->deadline < 0) return -1;
    int64_t left = self->deadline - lpool_now();
    return left > 0 ? left : 0;
}

static int raise_nested(lua_State *L)
{
    return luaL_error(L, "the results are being read already");
}

/* Raise the error below the traceback on top, which says of which item. */
static int raise_item(lua_State *L, uint64_t number)
{
    lua_pushfstring(L, "item %I of the map\n%s", (LUAI_UACINT)number,
                    lua_tostring(L, -1));
    lua_replace(L, -2);
    return lp_raise_failure(L);
}

/* Take more of what is there already; while it reads, the window counts it. */
static void take_ahead(results *self)
{
    if (self->reads) return;
    self->value = self->values;
    self->ahead = lpool_map_take_integers(self->map, self->values, TAKEN_AHEAD,
                                          &self->number);
}

/* Push the next result that was taken ahead. */
static void push_ahead(lua_State *L, results *self)
{
    self->ahead--;
    self->number++;
    lua_pushinteger(L, *self->value++);
}

/* results(): the number of the next item and its results; nil at the end. */
static int results_call(lua_State *L)
{
    results *self = called_results(L);
    uint64_t number = 0;
    int count = 0;
    if (self->ahead > 0) {
        lua_pushinteger(L, (lua_Integer)self->number);
        push_ahead(L, self);
        return 2;
    }
    lua_settop(L, 1);
    if (self->asking) return raise_nested(L);
    if (self->closed) {
        lua_pushnil(L);
        return 1;
    }
    if (self->reads) read_ahead(L, self);
    lua_pushnil(L); /* where the number goes */
    int status = lpool_map_next(L, self->map, time_left(self), &number, &count);
    if (status == LPOOL_OK && number > 0) {
        lua_pushinteger(L, (lua_Integer)number);
        lua_replace(L, 2);
        take_ahead(self);
        return count + 1;
    }
    if (status == LPOOL_OK && self->refused) return raise_refusal(L, self);
    if (status == LPOOL_OK || self->closed) return 1; /* all were taken */
    if (status == LPOOL_EINVALID) return raise_nested(L);
    if (status == LPOOL_EFAILED) return raise_item(L, number);
    if (status == LPOOL_ETIMEOUT) return raise_timeout(L, self);
    return lp_raise_status(L, status, NULL);
}

/*** results:totable() */
static int results_totable(lua_State *L)
{
    results *self = check_results(L, 1);
    lua_Integer taken = 0;
    lua_settop(L, 1);
    lua_newtable(L);
    if (self->asking) return raise_nested(L);
    while (!self->closed) {
        for (; self->ahead > 0; lua_rawseti(L, 2, ++taken))
            push_ahead(L, self);
        uint64_t number = 0;
        int count = 0;
        if (self->reads) read_ahead(L, self);
        int status =
            lpool_map_next(L, self->map, time_left(self), &number, &count);
        if (status == LPOOL_EFAILED) return raise_item(L, number);
        if (status == LPOOL_ETIMEOUT) return raise_timeout(L, self);
        if (status == LPOOL_EINVALID && self->closed) break;
        if (status == LPOOL_EINVALID) return raise_nested(L);
        if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
        if (number == 0 && self->refused) return raise_refusal(L, self);
        if (number == 0) break;
        lua_settop(L, count > 0 ? 3 : 2); /* only the first result */
        taken++;
        if (count > 0) lua_rawseti(L, 2, taken);
        take_ahead(self);
    }
    lua_pushinteger(L, taken);
    lua_setfield(L, 2, "n");
    return 1;
}

/*** results:close() */
static int results_close(lua_State *L)
{
    close_results(check_results(L, 1), true);
    return 0;
}

static int results_gc(lua_State *L)
{
    /* Results that nobody wants are made all the same. */
    results *self = check_results(L, 1);
    lpool_map *map = self->map;
    close_results(self, false);
    self->map = NULL;
    lpool_map_free(map);
    return 0;
}

/* ---- making results ---- */

/*
 * core.map(executor, fn, { ordered =, chunksize =, timeout =, window =,
 * strict = }): results without items.
 */
static int new_results(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    /* Called by run_map of executor.lua, which user code has called. */
    lpool_map_config config = {.size = sizeof(config), .level = 2};
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    lua_getfield(L, 3, "ordered");
    config.ordered = lua_toboolean(L, -1);
    const lpool_task_options *options = lp_options_of(L, 1);
    if (options) config.options = *options;
    lua_getfield(L, 3, "chunksize");
    lua_Integer chunk = lua_tointeger(L, -1); /* checked; 0 if absent */
    config.chunk = chunk > INT_MAX ? INT_MAX : (unsigned)chunk;
    lua_getfield(L, 3, "timeout");
    int64_t timeout = lp_check_timeout(L, lua_gettop(L));
    lua_getfield(L, 3, "window");
    lua_Integer window = lua_tointeger(L, -1);
    lua_getfield(L, 3, "strict");
    bool strict = lua_toboolean(L, -1);

    int status = lpool_executor_check(executor);
    if (status != LPOOL_OK) return lp_raise_status(L, status, executor);
    results *self = lua_newuserdatauv(L, sizeof(*self), 2);
    memset(self, 0, sizeof(*self));
    luaL_setmetatable(L, RESULTS_TYPE);
    self->type = &results_type;
    self->timeout = timeout;
    self->deadline = timeout < 0 ? -1 : lpool_now() + timeout;
    self->window = (uint64_t)window;
    self->strict = strict;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 2);
    lua_pushvalue(L, 2);
    status = lpool_map_open(L, executor, &config, &self->map);
    if (status != LPOOL_OK) return lp_raise_status(L, status, executor);
    return 1;
}

static int finish_adding(lua_State *L, results *self, int status)
{
    if (status == LPOOL_OK) {
        lua_settop(L, 1);
        return 1;
    }
    lua_getiuservalue(L, 1, 2);
    lpool_executor *executor = lpool_test_executor(L, -1);
    lua_pop(L, 1);
    close_results(self, true);
    if (status == LPOOL_EINVALID)
        return luaL_error(L, "too many maps of one executor are not finished");
    return lp_raise_status(L, status, executor);
}

/* core.add_range(results, first, step, count) */
static int add_range(lua_State *L)
{
    results *self = check_results(L, 1);
    int status = lpool_map_add_range(self->map, luaL_checkinteger(L, 2),
                                     luaL_checkinteger(L, 3),
                                     (uint64_t)luaL_checkinteger(L, 4));
    return finish_adding(L, self, status);
}

/* core.add_list(results, list, count, spread) */
static int add_list(lua_State *L)
{
    results *self = check_results(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    int status = lpool_map_add_list(L, self->map, 2, 1, luaL_checkinteger(L, 3),
                                    lua_toboolean(L, 4));
    if (status == LPOOL_OK) status = lpool_map_flush(self->map);
    return finish_adding(L, self, status);
}

/*
 * core.read_from(results, input, count, spread): an iterator, or a list or
 * range of so many elements
 */
static int read_from(lua_State *L)
{
    results *self = check_results(L, 1);
    self->count = lua_isinteger(L, 3) ? lua_tointeger(L, 3) : -1;
    self->spread = lua_toboolean(L, 4);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, 1);
    self->reads = true;
    read_ahead(L, self);
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__close", results_close},
    {"__gc", results_gc},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"totable", results_totable},
    {"close", results_close},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"map", new_results},   {"add_range", add_range},
    {"add_list", add_list}, {"read_from", read_from},
    {NULL, NULL},
};

void lp_open_results(lua_State *L)
{
    lp_new_type(L, RESULTS_TYPE, metamethods);
    lua_pushcfunction(L, results_call);
    lua_setfield(L, -2, "__call");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
