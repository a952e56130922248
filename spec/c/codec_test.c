/*
 * codec_test.c - values between two states of one process.
 *
 * Most tests are Lua, run in a "main" state with these functions:
 *   call(f, ...)      f runs in the worker state; returns what it returns
 *   there(...)        the arguments after a journey there and back
 *   refused(...)      the text with which encoding call(...) fails
 *   failed(...)       the text with which decoding in the worker fails
 *   assigns(f)        what the info says of a message with f
 */
#include "check.h"

#include "base/alloc.h"
#include "codec/codec.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two states that talk to each other. */
typedef struct pair {
    lp_library *library;
    lua_State *main;
    lua_State *worker;
    lp_buffer out; /* what is under way */
} pair;

/* A shared object, to be passed by handle. */
typedef struct shared {
    int references;
} shared;

static void retain_shared(void *object)
{
    ((shared *)object)->references++;
}

static void release_shared(void *object)
{
    ((shared *)object)->references--;
}

static const struct lp_handle_kind shared_kind = {
    .name = "thing",
    .retain = retain_shared,
    .release = release_shared,
};

static shared the_shared;

static void push_shared(lua_State *L, const lp_handle *handle)
{
    void **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = handle->object;
    luaL_setmetatable(L, "thing");
}

static bool check_shared(lua_State *L, int index, lp_handle *handle)
{
    void **box = luaL_testudata(L, index, "thing");

    if (!box) return false;
    *handle = (lp_handle){&shared_kind, *box};
    return true;
}

/* Lua's allocator, which fails when the countdown reaches 0. */
static long until_failure;
static size_t lua_live;

static void *lua_memory(void *data, void *block, size_t old, size_t size)
{
    (void)data;
    if (size == 0) {
        if (block) lua_live--;
        free(block);
        return NULL;
    }
    bool grows = !block || size > old;
    if (grows && until_failure > 0 && --until_failure == 0) {
        until_failure = 1; /* and so will be the try after a collection */
        return NULL;
    }
    void *moved = realloc(block, size);
    if (!block && moved) lua_live++;
    return moved;
}

/* Encode what is in from's stack from first on, and decode it in to. */
static int carry(pair *p, lua_State *from, lua_State *to, int first,
                 lp_role role, int *count)
{
    int n = lua_gettop(from) - first + 1;
    lp_buffer out = p->out; /* user code may carry something too */
    lp_message_info info;

    lp_buffer_init(&p->out, NULL);
    lp_buffer_reset(&out);
    int status = lp_encode(from, NULL, first, n, role, &out, &info);
    if (status == LP_OK) {
        lp_reader reader = {out.bytes, out.bytes + out.length, out.handles,
                            out.handle_count};
        status =
            lp_decode(to, NULL, &reader, count) == LP_OK ? LP_OK : LP_FAILED;
    }
    lp_buffer_clear(&p->out);
    p->out = out;
    return status;
}

static pair *get_pair(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* Raise what is at the top of from, a string, in L. */
static int raise_from(lua_State *L, lua_State *from)
{
    lua_pushstring(L, lua_tostring(from, -1));
    lua_settop(from, 0);
    return lua_error(L);
}

static int run_call(lua_State *L)
{
    pair *p = get_pair(L);
    lua_State *W = p->worker;
    int count;

    lua_settop(W, 0);
    int status = carry(p, L, W, 1, LP_ROLE_CALL, &count);
    if (status == LP_FAILED) return raise_from(L, W);
    if (status != LP_OK) return lua_error(L);
    if (lua_pcall(W, count - 1, LUA_MULTRET, 0) != LUA_OK) {
        status = carry(p, W, L, 1, LP_ROLE_ERROR, &count);
        return status == LP_OK ? lua_error(L) : raise_from(L, W);
    }
    lua_settop(L, 0);
    status = carry(p, W, L, 1, LP_ROLE_RESULTS, &count);
    if (status == LP_UNSENDABLE) return raise_from(L, W);
    if (status != LP_OK) return lua_error(L);
    lua_settop(W, 0);
    return count;
}

static int run_there(lua_State *L)
{
    pair *p = get_pair(L);
    int count;

    lua_settop(p->worker, 0);
    int status = carry(p, L, p->worker, 1, LP_ROLE_ARGUMENTS, &count);
    if (status == LP_FAILED) return raise_from(L, p->worker);
    if (status != LP_OK) return lua_error(L);
    lua_settop(L, 0);
    status = carry(p, p->worker, L, 1, LP_ROLE_RESULTS, &count);
    if (status == LP_UNSENDABLE) return raise_from(L, p->worker);
    lua_settop(p->worker, 0);
    if (status != LP_OK) return luaL_error(L, "status %d", status);
    return count;
}

/* The text with which a call fails, in the phase named by the status. */
static int run_phase(lua_State *L, int expected)
{
    pair *p = get_pair(L);
    int count;

    lua_settop(p->worker, 0);
    int status = carry(p, L, p->worker, 1, LP_ROLE_CALL, &count);
    if (status != expected)
        return luaL_error(L, "status %d and not %d", status, expected);
    if (status == LP_FAILED) {
        lua_pushstring(L, lua_tostring(p->worker, -1));
        lua_settop(p->worker, 0);
    }
    return 1;
}

static int run_refused(lua_State *L)
{
    return run_phase(L, LP_UNSENDABLE);
}

static int run_failed(lua_State *L)
{
    return run_phase(L, LP_FAILED);
}

static int run_assigns(lua_State *L)
{
    pair *p = get_pair(L);
    lp_message_info info;

    lp_buffer_reset(&p->out);
    int n = lua_gettop(L);
    if (lp_encode(L, NULL, 1, n, LP_ROLE_CALL, &p->out, &info) != LP_OK)
        return lua_error(L);
    lua_pushboolean(L, info.assigns);
    return 1;
}

static int run_length(lua_State *L)
{
    pair *p = get_pair(L);

    lp_buffer_reset(&p->out);
    int n = lua_gettop(L);
    if (lp_encode(L, NULL, 1, n, LP_ROLE_CALL, &p->out, NULL) != LP_OK)
        return lua_error(L);
    lua_pushinteger(L, (lua_Integer)p->out.length);
    return 1;
}

static int new_thing(lua_State *L)
{
    const lp_handle handle = {&shared_kind, &the_shared};

    push_shared(L, &handle);
    return 1;
}

static int new_plain_userdata(lua_State *L)
{
    (void)lua_newuserdatauv(L, 1, 0);
    luaL_newmetatable(L, "Plain");
    lua_setmetatable(L, -2);
    return 1;
}

static int unknown_function(lua_State *L)
{
    (void)L;
    return 0;
}

static const char prelude[] =
    "function same(a, b)\n"
    "  if type(a) ~= type(b) or math.type(a) ~= math.type(b) then\n"
    "    return false end\n"
    "  if a ~= a then return b ~= b end\n"
    "  if type(a) ~= 'table' then return a == b end\n"
    "  for k, v in next, a do\n"
    "    if not same(v, rawget(b, k)) then return false end end\n"
    "  for k in next, b do if rawget(a, k) == nil then return false end end\n"
    "  return true\n"
    "end\n"
    "function equal(a, b)\n"
    "  if a ~= b then\n"
    "    error(('%s and not %s'):format(a, b), 2) end\n"
    "end\n"
    "function deep(n, f)\n"
    "  local t = f and f() or {}\n"
    "  for i = 1, n do local u = f and f(i) or {}; u.next = t; t = u end\n"
    "  return t\n"
    "end\n";

static void open_state(pair *p, lua_State *L, bool worker)
{
    static const luaL_Reg functions[] = {{"call", run_call},
                                         {"there", run_there},
                                         {"refused", run_refused},
                                         {"failed", run_failed},
                                         {"assigns", run_assigns},
                                         {"length", run_length},
                                         {"thing", new_thing},
                                         {"userdata", new_plain_userdata},
                                         {"unknown", unknown_function},
                                         {NULL, NULL}};
    const lp_codec_config config = {.library = p->library,
                                    .worker = worker,
                                    .check_handle = check_shared,
                                    .push_handle = push_shared};

    luaL_openlibs(L);
    luaL_newmetatable(L, "thing");
    lua_settop(L, 0);
    lp_codec_open(L, &config);
    if (worker) return;
    lua_pushglobaltable(L);
    lua_pushlightuserdata(L, p);
    luaL_setfuncs(L, functions, 1);
    lua_settop(L, 0);
    if (luaL_dostring(L, prelude) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
}

static void open_pair(pair *p)
{
    memset(p, 0, sizeof(*p));
    p->library = lp_library_new(NULL);
    p->main = lua_newstate(lua_memory, NULL);
    p->worker = lua_newstate(lua_memory, NULL);
    open_state(p, p->main, false);
    open_state(p, p->worker, true);
}

static void close_pair(pair *p)
{
    lua_close(p->main);
    lua_close(p->worker);
    lp_buffer_clear(&p->out);
    lp_library_free(p->library);
}

typedef struct test {
    const char *name;
    const char *code;
} test;

static const test tests[] = {
    {"scalars keep value and subtype",
     "local t = table.pack(there(nil, true, false, 0, 1, -1, 127, 128, -128,\n"
     "  -129, 32767, 32768, -32769, 2^31|0, -2^31|0, math.maxinteger,\n"
     "  math.mininteger, 0.5, 1.0, -0.0, 1/0, -1/0, 0/0, 1e308, nil))\n"
     "local u = table.pack(nil, true, false, 0, 1, -1, 127, 128, -128,\n"
     "  -129, 32767, 32768, -32769, 2^31|0, -2^31|0, math.maxinteger,\n"
     "  math.mininteger, 0.5, 1.0, -0.0, 1/0, -1/0, 0/0, 1e308, nil)\n"
     "assert(same(t, u)); equal(t.n, 25); equal(1 / t[20], -1/0)\n"
     "assert(select('#', there()) == 0)\n"},
    {"strings of any bytes and size",
     "local all = {} for i = 0, 255 do all[i + 1] = string.char(i) end\n"
     "all = table.concat(all)\n"
     "for _, n in ipairs { 0, 1, 39, 40, 41, 63, 64, 65, 255, 256, 4095,\n"
     "    4096, 4097, 65536, 1 << 20 } do\n"
     "  local s = all:rep(n // 256 + 1):sub(1, n)\n"
     "  assert(there(s) == s)\n"
     "  assert(there({ [s] = s })[s] == s)\n"
     "end\n"
     "local long = all:rep(100)\n"
     "assert(length(long, long, long) < #long * 2)\n"
     "assert(same({ there(long, { long }) }, { long, { long } }))\n"},
    {"tables with holes and any keys",
     "local t = { 1, 2, nil, 4, [10] = 'x', [-1] = 'm', [0] = 'z',\n"
     "  [1.5] = 'f', [true] = 1, [false] = 2, s = 's', ['a b'] = {},\n"
     "  [math.mininteger] = {}, [2^53] = 1, [1/0] = 'inf' }\n"
     "assert(same(there(t), t)); assert(same(there({}), {}))\n"
     "local k = {}; local u = there { [k] = k }\n"
     "local key, value = next(u); assert(key == value and key ~= k)\n"
     "assert(same(there({ [1] = 1, [3] = 3 }), { [1] = 1, [3] = 3 }))\n"
     "local s = {} for i = 1, 40 do s['k' .. i] = i end\n"
     "assert(same(there(s), s))\n"},
    {"records: shapes, misfits, nested values",
     "local list = {}\n"
     "for i = 1, 600 do\n"
     "  list[i] = { id = i, name = 'n' .. i, score = i / 2 }\n"
     "  if i % 3 == 0 then list[i].extra = { a = i, b = { i } } end\n"
     "  if i % 5 == 0 then list[i].name = nil end\n"
     "  if i % 7 == 0 then list[i] = { id = { i }, zip = {}, q = 1 } end\n"
     "  if i % 11 == 0 then list[i]['k' .. i] = i end\n"
     "  if i % 13 == 0 then list[i][i] = i end\n"
     "end\n"
     "assert(same(there(list), list))\n"
     "local rows = {} for i = 1, 1000 do rows[i] = { x = 1, y = 2 } end\n"
     "assert(length(rows) < 1000 * 5 + 60)\n"},
    {"shared parts and cycles keep identity",
     "local a = {}; a.self = a; a.b = { a, a }; a.c = a.b; a[a] = a\n"
     "local b, again = there(a, a.b)\n"
     "assert(b.self == b and b.b[1] == b and b.b == b.c and b[b] == b)\n"
     "assert(again == b.b and b ~= a)\n"
     "local nodes = {} for i = 1, 1000 do nodes[i] = {} end\n"
     "for i = 1, 1000 do nodes[i].next = nodes[i % 1000 + 1] end\n"
     "local n = there(nodes)\n"
     "for i = 1, 1000 do assert(n[i].next == n[i % 1000 + 1]) end\n"},
    {"deep and wide",
     "local d = there(deep(1000000)) local n = 0\n"
     "while d do n = n + 1; d = d.next end equal(n, 1000001)\n"
     "local w = {} for i = 1, 1000000 do w[i] = i end\n"
     "w = there(w) equal(#w, 1000000) equal(w[777777], 777777)\n"
     "w = {} for i = 1, 200000 do w['k' .. i] = { i } end\n"
     "w = there(w) equal(w.k200000[1], 200000)\n"
     "local ring = {} local last = ring\n"
     "for i = 1, 1000000 do last.next = { i, back = last }\n"
     "  last = last.next end last.next = ring\n"
     "local r = there(ring) local m = 0 local at = r\n"
     "repeat assert(at.next == r or at.next.back == at)\n"
     "  at = at.next; m = m + 1 until at == r equal(m, 1000001)\n"
     "local f = function() return 0 end\n"
     "for i = 1, 10000 do local g = f; f = function() return g end end\n"
     "local back = there(f) for i = 1, 10000 do back = back() end\n"
     "equal(back(), 0)\n"
     "local mixed = deep(3000, function(i) return setmetatable(\n"
     "  { i, { i }, f = function() return i end }, { __index = { v = i }})\n"
     "end) local x = there(mixed) local c = 3000\n"
     "while c > 0 do equal(x[1], c) equal(x.f(), c) equal(x.v, c)\n"
     "  x = x.next; c = c - 1 end\n"},
    {"functions: upvalues, sharing, recursion",
     "local n = 10\n"
     "local function inc() n = n + 1; return n end\n"
     "local function get() return n end\n"
     "local a, b = there(inc, get) a() a() equal(b(), 12) equal(get(), 10)\n"
     "local function fact(k) return k < 2 and 1 or k * fact(k - 1) end\n"
     "equal(call(fact, 20), 2432902008176640000)\n"
     "local even, odd\n"
     "function even(k) return k == 0 or odd(k - 1) end\n"
     "function odd(k) return k ~= 0 and even(k - 1) end\n"
     "equal(call(even, 101), false)\n"
     "local s = {} local function self() return s end s.f = self\n"
     "equal(select('#', call(function(...) return ... end, nil, nil)), 2)\n"
     "local t = call(self) assert(t.f() == t)\n"
     "assert(there(self) ~= self)\n"
     "local function two() local x, y, z = n, s, fact\n"
     "  return function() n = n + 1 return x, y, z, n end end\n"
     "local x, y, z, w = call(call(two)) equal(x, 10) equal(w, 11)\n"
     "local fs = {} for i = 1, 3 do fs[i] = function() return i end end\n"
     "fs = there(fs) equal(fs[1]() + fs[2]() + fs[3](), 6)\n"},
    {"functions: debug information and traceback survive",
     "local f = load('local x = ... return function()\\n\\n error(x) end',\n"
     "  '@script.lua')('oh')\n"
     "local ok, e = pcall(call, f) equal(e, 'script.lua:3: oh')\n"
     "local ok, e = pcall(call, load('\\n\\nerror(\"a\")', '@s2.lua'))\n"
     "equal(e, 's2.lua:3: a')\n"
     "local ok, e = pcall(call, function() error({ code = 7 }) end)\n"
     "equal(e.code, 7)\n"
     "local i = debug.getinfo(there(f)) equal(i.source, '@script.lua')\n"
     "equal(i.linedefined, 1) equal(debug.getupvalue(there(f), 1), '_ENV')\n"},
    {"functions: many upvalues, and stripped ones",
     "for _, n in ipairs { 3, 249, 250, 251, 255 } do\n"
     "  local names, sum = {}, {}\n"
     "  local src = {}\n"
     "  local outer = {}\n"
     "  for i = 1, n do outer[(i - 1) // 100 + 1] = \n"
     "    (outer[(i - 1) // 100 + 1] or 'local ') ..\n"
     "    (i % 100 == 1 and '' or ', ') .. 'u' .. i end\n"
     "  local set = {} for i = 1, n do set[i] = 'u' .. i .. '=' .. i end\n"
     "  local code = outer[1] .. ' do ' .. (outer[2] or '') .. ' do ' ..\n"
     "    (outer[3] or '') .. '\\n'\n"
     "  if n > 190 then code = nil end\n"
     "  if code then\n"
     "    local use = {} for i = 1, n do use[i] = 'u' .. i end\n"
     "    code = code .. table.concat(set, ' ') .. ' return function()\\n'\n"
     "      .. 'return ' .. table.concat(use, '+') .. ' end end end'\n"
     "    equal(call(load(code)()), n * (n + 1) // 2)\n"
     "  end\n"
     "end\n"
     "local function nest(k) -- more upvalues than a function has locals\n"
     "  local a, b = {}, {}\n"
     "  for i = 1, k do a[i] = 'a' .. i b[i] = 'b' .. i end\n"
     "  local s = 'local ' .. table.concat(a, ',') .. ' = ...\\n' ..\n"
     "   'return function(...) local ' .. table.concat(b, ',') .. ' = ...\\n'\n"
     "   .. 'return function() return ' .. table.concat(a, '+') .. '+' ..\n"
     "   table.concat(b, '+') .. ' end end'\n"
     "  local v = {} for i = 1, k do v[i] = i end\n"
     "  return load(s)(table.unpack(v))(table.unpack(v))\n"
     "end\n"
     "for _, k in ipairs { 5, 124, 125, 126, 127 } do\n"
     "  equal(call(nest(k)), k * (k + 1)) equal(call(nest(k)), k * (k + 1))\n"
     "end\n"
     "answer = 42\n"
     "local plain = load(string.dump(function() return answer end, true))\n"
     "equal(call(plain), 42)\n"},
    {"globals travel with functions",
     "function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end\n"
     "equal(call(fib, 20), 6765)\n"
     "local function h3() return base + 1 end\n"
     "function h2() return h3() end function h1() return h2() end\n"
     "base = 4 equal(call(function() return h1() end), 5)\n"
     "base = 9 equal(call(function() return h1() end), 10)\n"
     "equal(call(function() return (function() return _G.base end)() end), 9)\n"
     "base = nil equal(call(function() return base end), nil)\n"
     "equal(call(function() return _G.base == nil and _ENV._G == _G end),\n"
     "  true)\n"
     "base = { 1 } equal(call(function() return base[1] end), 1)\n"
     "assert(call(function() return print == _G.print end))\n"
     "local real = print print = function() return 'mine' end\n"
     "equal(call(function() return print() end), 'mine')\n"
     "print = real equal(call(function() return type(print) end),\n"
     "  'function') assert(call(function() return print end) == print)\n"
     "call(function() kept = 5 end)\n"
     "equal(call(function() return kept end), 5)\n"
     "local f = there(function() return fromafar end) equal(f(), nil)\n"
     "function odd(n) return n ~= 0 and even(n - 1) end\n"
     "function even(n) return n == 0 or odd(n - 1) end\n"
     "equal(call(odd, 7), true)\n"},
    {"globals of functions with very many constants",
     "local t = { 'return function() local t = { ' }\n"
     "for i = 1, 400 do t[#t + 1] = '\"c' .. i .. '\",' end\n"
     "t[#t + 1] = '} far = helper() return far, _G.other end'\n"
     "function helper() return 77 end other = 3\n"
     "local f = load(table.concat(t))()\n"
     "local a, b = call(f) equal(a, 77) equal(b, 3) equal(far, nil)\n"},
    {"environments that are not the globals",
     "local env = setmetatable({ own = 1 }, { __index = _G })\n"
     "theirs = 2\n"
     "local f = load('return function() return own, theirs, type(print) end',\n"
     "  'c', 't', env)()\n"
     "local a, b, c = call(f) equal(a, 1) equal(b, 2) equal(c, 'function')\n"
     "local strict = setmetatable({}, { __index = function(_, k)\n"
     "  error('no ' .. k) end })\n"
     "equal(call(load('return nothing == nil', 'c', 't', strict)), true)\n"
     "equal(call(load('return 1', 'c', 't', 5)), 1)\n"},
    {"what assigns",
     "local n, f = 0, nil\n"
     "assert(not assigns(function() return n end))\n"
     "assert(assigns(function() n = 1 end))\n"
     "assert(assigns(function() return function() n = 1 end end))\n"
     "local function inc() n = n + 1 end\n"
     "assert(assigns(function() inc() end))\n"
     "assert(not assigns(function() local x = 1\n"
     "  return function() x = 2 end end))\n"
     "total = 1 assert(assigns(function() total = total + 1 end))\n"
     "assert(not assigns(function() fresh = 1 end))\n"
     "assert(not assigns(function() return total end))\n"},
    {"C functions and modules by name",
     "local format, insert, out = string.format, table.insert, print\n"
     "equal(call(function() return format('%d', 3) end), '3')\n"
     "assert(there(string.format) == string.format)\n"
     "assert(there(print) == print and there(require) == require)\n"
     "assert(there(string) == string and there(_G) == _G)\n"
     "assert(there({ math }, math)[1] == math)\n"
     "local m = math equal(call(function() return m.floor(1.5) end), 1)\n"
     "assert(call(function() return m == math end))\n"
     "package.preload.cmod = nil\n"
     "package.loaded.luamod = { f = function() return 5 end, n = 3 }\n"
     "local lm = require 'luamod'\n"
     "equal(call(function() return lm.f() + lm.n end), 8)\n"
     "package.loaded['lpool.fake'] = { print }\n"
     "local fake = require 'lpool.fake'\n"
     "local text = failed(function() return fake end)\n"
     "assert(text:find(\"cannot require 'lpool.fake'\", 1, true), text)\n"},
    {"modules are found with the sender's paths",
     "local dir = os.tmpname() os.remove(dir)\n"
     "assert(os.execute('mkdir -p ' .. dir))\n"
     "local f = io.open(dir .. '/codec_test_module.lua', 'w')\n"
     "f:write('local M = {} function M.hi() return \"hi\" end\\n' ..\n"
     "  'M.__index = M function M.new() return setmetatable({}, M) end\\n' ..\n"
     "  'return M') f:close()\n"
     "local f = io.open(dir .. '/codec_test_bad.lua', 'w')\n"
     "f:write('if WORKER then error(\"no way\") end return {'\n"
     "  .. 'f = function() end }') f:close()\n"
     "package.path = dir .. '/?.lua;' .. package.path\n"
     "local M = require 'codec_test_module'\n"
     "equal(call(function() return M.hi() end), 'hi')\n"
     "assert(call(function() return M == require 'codec_test_module' end))\n"
     "assert(there(M) == M) assert(there({ x = M }).x == M)\n"
     "assert(getmetatable(there(M.new())) == M)\n"
     "assert(getmetatable(call(function() return M.new() end)) == M)\n"
     "local B = require 'codec_test_bad'\n"
     "call(function() WORKER = true end)\n"
     "local t = failed(function() return B end)\n"
     "assert(t:find(\"cannot require 'codec_test_bad' here: \", 1, true) and\n"
     "  t:find('no way'), t)\n"
     "os.execute('rm -r ' .. dir)\n"},
    {"metatables come back as they left",
     "local mt = { __tostring = function(t) return 'T' .. t[1] end }\n"
     "local a = setmetatable({ 7 }, mt)\n"
     "local b = there(a) assert(getmetatable(b) == mt)\n"
     "equal(call(function(x) return tostring(x) end, a), 'T7')\n"
     "assert(call(function(x, y) return getmetatable(x) == getmetatable(y)\n"
     "  end, a, setmetatable({}, mt)))\n"
     "call(function(x) KEPT = getmetatable(x) end, a)\n"
     "assert(call(function(x) return getmetatable(x) == KEPT end, a))\n"
     "local many = {} for i = 1, 100 do\n"
     "  many[i] = setmetatable({ id = i }, mt) end\n"
     "for _, o in ipairs(there(many)) do assert(getmetatable(o) == mt) end\n"
     "local mode = setmetatable({}, { __mode = 'k' })\n"
     "equal(getmetatable(there(mode)).__mode, 'k')\n"
     "local locked = setmetatable({}, { __metatable = 'no' })\n"
     "equal(getmetatable(there(locked)), 'no')\n"
     "local o = {} setmetatable(o, o) o.__index = o\n"
     "local p = there(o) assert(p == o)\n"},
    {"classes keep identity as upvalues too",
     "local Point = {} Point.__index = Point\n"
     "function Point.new(x, y) return setmetatable({ x = x, y = y }, Point) "
     "end\n"
     "function Point:len() return (self.x ^ 2 + self.y ^ 2) ^ 0.5 end\n"
     "Point.__eq = function(a, b) return a.x == b.x and a.y == b.y end\n"
     "local p = call(function(q) local r = Point.new(q.x * 2, q.y)\n"
     "  assert(getmetatable(q) == Point and q:len() == 5) return r end,\n"
     "  Point.new(3, 4))\n"
     "assert(getmetatable(p) == Point) equal(p.x, 6)\n"
     "assert(there(Point) == Point)\n"
     "Point.scale = 2\n"
     "equal(call(function() return Point.scale end), 2) Point.scale = 3\n"
     "equal(call(function() return Point.scale end), 3)\n"
     "call(function() Point.scale = 9 end) equal(Point.scale, 3)\n"
     "Class = { __index = function() return 'dyn' end }\n"
     "local c = call(function() return setmetatable({}, Class) end)\n"
     "assert(getmetatable(c) == Class) equal(c.anything, 'dyn')\n"},
    {"inheritance, and classes that know each other",
     "local Base = {} Base.__index = Base\n"
     "function Base:who() return 'base' .. self.n end\n"
     "local Sub = setmetatable({}, { __index = Base }) Sub.__index = Sub\n"
     "function Sub.new(n) return setmetatable({ n = n }, Sub) end\n"
     "function Sub:other() return Base end\n"
     "function Base:sub(n) return Sub.new(n) end\n"
     "local s = Sub.new(3)\n"
     "equal(call(function(x) return x:who() end, s), 'base3')\n"
     "local r = call(function(x) return x:sub(5) end, s)\n"
     "assert(getmetatable(r) == Sub) equal(r:who(), 'base5')\n"
     "assert(call(s.other, s) == Base)\n"
     "local chain, all = {}, {}\n"
     "for i = 1, 2000 do local parent = chain chain = setmetatable({\n"
     "  ['v' .. i] = i, __index = nil }, { __index = parent }) end\n"
     "local far = there(chain) local m, n = far, 0\n"
     "while getmetatable(m) do m = getmetatable(m).__index; n = n + 1 end\n"
     "equal(n, 2000)\n"
     "local A, B = {}, {} A.__index = A B.__index = B\n"
     "A.b = setmetatable({}, B) B.a = setmetatable({}, A)\n"
     "local a = there(setmetatable({}, A)) assert(getmetatable(a) == A)\n"
     "assert(call(function(o) return getmetatable(o.b.a) ==\n"
     "  getmetatable(o) end, a))\n"},
    {"finalizers of arrived objects run",
     "local mt = { __gc = function() COUNT = (COUNT or 0) + 1 end }\n"
     "call(function(x, y) return 1 end, setmetatable({}, mt),\n"
     "  setmetatable({ a = 1 }, mt))\n"
     "assert(call(function() collectgarbage() return COUNT end) >= 2)\n"},
    {"__serialize and __deserialize",
     "local mt = { __serialize = function(o) return { o.a, o.b } end,\n"
     "  __deserialize = function(v) return { a = v[1], b = v[2], new = true }\n"
     "  end }\n"
     "local o = setmetatable({ a = 1, b = { 2 }, c = print }, mt)\n"
     "local p, q, r = there(o, o, { o }) assert(p == q and r[1] == p)\n"
     "equal(p.new, true) equal(p.b[1], 2) equal(p.c, nil)\n"
     "debug.setmetatable(userdata(), nil)\n"
     "local u = userdata() getmetatable(u).__serialize = function()\n"
     "  return 'u' end getmetatable(u).__deserialize = function(v)\n"
     "  return v .. '!' end\n"
     "equal(call(function(x) return x end, u), 'u!')\n"
     "mt.__serialize = function() error('not me', 0) end\n"
     "equal(refused(print, { x = o }),\n"
     "  \"argument 1, field 'x': __serialize failed: not me\")\n"
     "mt.__serialize = function() return { coroutine.create(print) } end\n"
     "equal(refused(print, o),\n"
     "  \"argument 1, __serialize, field '[1]': a coroutine\")\n"
     "mt.__serialize = function(x) return { x } end\n"
     "assert(refused(print, o):find('its own __serialize'))\n"
     "local nodes = setmetatable({ depth = 60 }, {\n"
     "  __serialize = function(x) return { d = x.depth, deep(500),\n"
     "    x.depth > 0 and setmetatable({ depth = x.depth - 1 },\n"
     "    getmetatable(x)) or nil } end,\n"
     "  __deserialize = function(v) local n, t = 0, v[1]\n"
     "    while t do n = n + 1; t = t.next end\n"
     "    return { n = n, d = v.d, inner = v[2] } end })\n"
     "local n = there(nodes)\n"
     "for d = 60, 0, -1 do equal(n.d, d) equal(n.n, 501) n = n.inner end\n"
     "local no = setmetatable({}, { __serialize = function() return 1 end })\n"
     "assert(failed(print, no):find('no __deserialize'))\n"
     "local bad = setmetatable({}, { __serialize = function() return 1 end,\n"
     "  __deserialize = function() error('broken', 0) end })\n"
     "equal(failed(print, bad), '__deserialize failed: broken')\n"},
    {"encoding inside __serialize",
     "local mt = {} mt.__index = mt\n"
     "mt.__serialize = function(o)\n"
     "  if o.n > 0 then\n"
     "    local send = _G['the' .. 're']\n"
     "    local t = {} t[1] = t assert(send(t)[1][1])\n"
     "    assert(send(setmetatable({ n = o.n - 1 }, mt)) == o.n - 1)\n"
     "  end return o.n end\n"
     "mt.__deserialize = function(n) return n end\n"
     "local t = { 1, 2, a = {} } t[3] = t.a\n"
     "t[4] = setmetatable({ n = 3 }, mt)\n"
     "local u = there(t) assert(u[3] == u.a) equal(u[4], 3)\n"},
    {"handles",
     "local t = thing()\n"
     "assert(call(function(a, b)\n"
     "  return type(a) == 'userdata' and b[1] == a end, t, { t }))\n"
     "local ok, text = pcall(call, function() return t end)\n"
     "assert(not ok)\n"
     "equal(text, 'result 1: thing, which travels to workers only')\n"
     "local C = { __index = 1, t = t }\n"
     "equal(refused(print, setmetatable({}, C)),\n"
     "  \"argument 1, metatable, field 't': a shared object in a class: \"\n"
     "  .. 'thing')\n"},
    {"what cannot cross is named, with the way to it",
     "local co = coroutine.create(print)\n"
     "equal(refused(print, 1, { conn = { co = co } }),\n"
     "  \"argument 2, field 'conn.co': a coroutine\")\n"
     "equal(refused(function() return co end),\n"
     "  \"the function, upvalue 'co': a coroutine\")\n"
     "log = io.stdout\n"
     "equal(refused(function() return log end),\n"
     "  \"the function, global 'log': a file\") log = nil\n"
     "local helper = function() return co end\n"
     "equal(refused(function() return helper() end),\n"
     "  \"the function, upvalue 'helper', upvalue 'co': a coroutine\")\n"
     "equal(refused(print, setmetatable({}, { __gc = unknown })),\n"
     "  \"argument 1, metatable, field '__gc': a C function\")\n"
     "equal(refused(print, userdata()), 'argument 1: a userdata (Plain)')\n"
     "equal(refused(unknown), 'the function: a C function')\n"
     "equal(refused(print, { [co] = 1 }), 'argument 1, a key: a coroutine')\n"
     "equal(refused(print, { x = { 1, 2, { f = co } } }),\n"
     "  \"argument 1, field 'x[3].f': a coroutine\")\n"
     "equal(refused(print, { ['a b'] = co, n = 1 }),\n"
     "  \"argument 1, field '[\\\"a b\\\"]': a coroutine\")\n"
     "local ok, e = pcall(call, function()\n"
     "  return 1, { [2.5] = coroutine.create(print) } end)\n"
     "equal(e, \"result 2, field '[2.5]': a coroutine\")\n"
     "local ok, e = pcall(call, function()\n"
     "  error { h = io.stderr } end)\n"
     "equal(e, \"the error, field 'h': a file\")\n"
     "assert(refused(print, deep(300, function(i)\n"
     "  return { co = not i and co or nil } end)):find('^%.%.%., field'))\n"
     "local A = { __index = 1 } A.obj = setmetatable({}, {\n"
     "  __index = { bad = co } })\n"
     "equal(refused(print, { setmetatable({}, A) }), \"argument 1, field \"\n"
     "  .. \"'[1]', metatable, field 'obj', metatable, \"\n"
     "  .. \"field '__index.bad': a coroutine\")\n"
     "equal(refused(function() return A end), \"the function, \"\n"
     "  .. \"upvalue 'A', field 'obj', metatable, \"\n"
     "  .. \"field '__index.bad': a coroutine\")\n"
     "equal(call(function() return 1 end), 1)\n"},
};

static void run_tests(void)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pair p;
        open_pair(&p);
        int base = lua_gettop(p.main);
        int status = luaL_loadbufferx(p.main, tests[i].code,
                                      strlen(tests[i].code), "=test", "t");
        if (status == LUA_OK) {
            lua_getglobal(p.main, "debug");
            lua_getfield(p.main, -1, "traceback");
            lua_insert(p.main, base + 1);
            lua_settop(p.main, base + 2);
            status = lua_pcall(p.main, 0, 0, base + 1);
        }
        if (status != LUA_OK) {
            fprintf(stderr, "%s: %s\n", tests[i].name,
                    luaL_tolstring(p.main, -1, NULL));
            failures++;
        }
        close_pair(&p);
        CHECK(lp_alloc_live() == 0);
        CHECK(lua_live == 0);
        CHECK(the_shared.references == 0);
    }
}

/* A message with everything in it. */
static const char everything[] =
    "local C = { __index = function() end } C.new = function()\n"
    "  return setmetatable({}, C) end\n"
    "local S = setmetatable({}, { __serialize = function() return { 1 } end,\n"
    "  __deserialize = function(v) return v end })\n"
    "local n, shared = 0, { 1, 2 }\n"
    "function helper(k) return k < 1 and 0 or helper(k - 1) end\n"
    "limit = { 10 }\n"
    "local function inc() n = n + 1 return helper(n) + limit[1] end\n"
    "local function get() return n, inc, shared end\n"
    "return inc, get, shared, { shared, { id = 1, name = 'x', s = 1.5 },\n"
    "  { id = 2, name = 'y', s = 2.5 }, a = { [shared] = true } },\n"
    "  ('z'):rep(5000), -1, 300, 70000, 1 << 40, 0.5, nil, true, false,\n"
    "  C.new(), C, S, string, string.format, thing(), deep(150), print, _G,\n"
    "  setmetatable({ x = 1 }, C), function() return n end\n";

/* Push the values of everything; gives their count. */
static int push_everything(lua_State *L)
{
    int base = lua_gettop(L);

    if (luaL_loadstring(L, everything) != LUA_OK) abort();
    lua_call(L, 0, LUA_MULTRET);
    return lua_gettop(L) - base;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int decode_protected(lua_State *L)
{
    lp_reader *reader = lua_touserdata(L, 1);
    int count;

    (void)lp_decode(L, NULL, reader, &count);
    return 0;
}

/* Damage bytes, a copy of the message, somehow; gives the new length. */
static size_t damage(uint8_t *bytes, size_t length)
{
    uint64_t times = 1 + random_number() % 4;

    for (uint64_t i = 0; i < times; i++) {
        size_t at = (size_t)(random_number() % length);
        switch (random_number() % 4) {
        case 0:
            bytes[at] = (uint8_t)random_number();
            break;
        case 1:
            bytes[at] ^= (uint8_t)(1u << random_number() % 8);
            break;
        case 2:
            bytes[at] = (uint8_t)(bytes[at] + random_number() % 3 - 1);
            break;
        default:
            memmove(bytes + at % (length - 15),
                    bytes + random_number() % (length - 15), 16);
            break;
        }
    }
    return random_number() % 8 == 0 ? (size_t)(random_number() % length)
                                    : length;
}

static void test_corrupt_input(int rounds)
{
    pair p;
    open_pair(&p);
    int n = push_everything(p.main);
    CHECK(lp_encode(p.main, NULL, lua_gettop(p.main) - n + 1, n, LP_ROLE_CALL,
                    &p.out, NULL) == LP_OK);
    size_t length = p.out.length;

    for (int i = 0; i < rounds; i++) {
        if (i % 1000 == 0) { /* a worker that nothing has happened to */
            lua_close(p.worker);
            p.worker = luaL_newstate();
            open_state(&p, p.worker, true);
        }
        uint8_t *copy = malloc(length); /* so that overruns are noticed */
        memcpy(copy, p.out.bytes, length);
        size_t now = damage(copy, length);
        if (i % 2 == 0 && now >= 16) { /* get past the header */
            memcpy(copy, p.out.bytes, 16);
            memcpy(copy + 8, &now, sizeof(now));
        }
        uint8_t *fit = malloc(now ? now : 1);
        memcpy(fit, copy, now);
        free(copy);
        lp_reader reader = {fit, fit + now, p.out.handles, p.out.handle_count};
        lua_settop(p.worker, 0);
        lua_pushcfunction(p.worker, decode_protected);
        lua_pushlightuserdata(p.worker, &reader);
        (void)lua_pcall(p.worker, 1, 0, 0); /* it may fail, but not crash */
        (void)lp_decode_peek(&reader);
        free(fit);
    }
    lua_settop(p.worker, 0);
    lua_gc(p.worker, LUA_GCCOLLECT);
    close_pair(&p);
    CHECK(lp_alloc_live() == 0);
}

/* What happens at one point of failure. */
typedef struct attempt {
    pair *p;
    lp_buffer *out;
    int status;
    bool decodes;
} attempt;

static int try_once(lua_State *L)
{
    attempt *a = lua_touserdata(L, 1);
    int n = lua_gettop(L) - 1;
    int count;

    if (!a->decodes) {
        a->status = lp_encode(L, NULL, 2, n, LP_ROLE_CALL, a->out, NULL);
    } else {
        lp_reader reader = {a->out->bytes, a->out->bytes + a->out->length,
                            a->out->handles, a->out->handle_count};
        a->status = lp_decode(L, NULL, &reader, &count);
    }
    return 0;
}

/*
 * Encode or decode everything with the n-th allocation failing, by lp_alloc
 * or by Lua. Gives whether all went well.
 */
static bool try_failing(long n, bool in_lua, bool decodes)
{
    pair p;
    lp_buffer out = {0};
    open_pair(&p);
    attempt a = {.p = &p, .out = &out, .status = LP_OK};
    lua_State *L = p.main;
    lua_pushcfunction(L, try_once);
    lua_pushlightuserdata(L, &a);
    int count = push_everything(L) + 1;
    if (decodes) {
        CHECK(lua_pcall(L, count, 0, 0) == LUA_OK && a.status == LP_OK);
        L = p.worker;
        lua_pushcfunction(L, try_once);
        lua_pushlightuserdata(L, &a);
        count = 1;
        a.decodes = true;
    }

    lua_gc(L, LUA_GCCOLLECT);
    if (in_lua)
        until_failure = n;
    else
        lp_alloc_fail_at(n);
    int status = lua_pcall(L, count, 0, 0);
    until_failure = 0;
    lp_alloc_fail_at(0);
    CHECK(status == LUA_OK || status == LUA_ERRMEM);
    CHECK(status != LUA_OK || a.status == LP_OK || a.status == LP_NOMEM);
    bool done = status == LUA_OK && a.status == LP_OK;

    /* Both states are as good as before. */
    lua_settop(p.main, 0);
    lua_settop(p.worker, 0);
    if (luaL_dostring(p.main, "local t = {} t.t = t local C = { __index = 1 }\n"
                              "local u, o = there(t, setmetatable({}, C))\n"
                              "assert(u.t == u and getmetatable(o) == C)\n"
                              "assert(call(function(x) return helper(x) end, 3)"
                              " == 0)") != LUA_OK) {
        fprintf(stderr, "after failure %ld: %s\n", n, lua_tostring(p.main, -1));
        failures++;
    }
    close_pair(&p);
    lp_buffer_clear(&out);
    CHECK(lp_alloc_live() == 0);
    CHECK(lua_live == 0);
    CHECK(the_shared.references == 0);
    return done;
}

static void test_memory_failures(void)
{
    for (int kind = 0; kind < 4; kind++) {
        long n = 1;
        while (!try_failing(n, kind & 1, kind & 2) && failures < 20)
            n++;
        printf("%s in %s: %ld points of failure\n",
               kind & 2 ? "decoding" : "encoding",
               kind & 1 ? "Lua" : "lp_alloc", n - 1);
    }
}

/* Decode the next message in a state and check that it is text. */
static void expect(lua_State *L, lp_reader *reader, const char *peek,
                   const char *text)
{
    int count = 0;

    CHECK(strcmp(lp_decode_peek(reader), peek) == 0);
    CHECK(lp_decode(L, NULL, reader, &count) == LP_OK && count == 1);
    CHECK(strcmp(luaL_tolstring(L, -1, NULL), text) == 0);
    lua_settop(L, 0);
}

static void test_several_messages(void)
{
    pair p;
    open_pair(&p);
    lua_State *L = p.main;
    lua_pushinteger(L, 7);
    lua_pushliteral(L, "seven");
    lua_pushboolean(L, true);
    for (int i = 1; i <= 3; i++)
        CHECK(lp_encode(L, NULL, i, 1, LP_ROLE_ERROR, &p.out, NULL) == LP_OK);
    CHECK(lp_encode(L, NULL, 1, 0, LP_ROLE_RESULTS, &p.out, NULL) == LP_OK);

    lp_reader reader = {p.out.bytes, p.out.bytes + p.out.length, NULL, 0};
    int count = -1;
    expect(p.worker, &reader, "number", "7");
    expect(p.worker, &reader, "string", "seven");
    expect(p.worker, &reader, "boolean", "true");
    CHECK(strcmp(lp_decode_peek(&reader), "nothing") == 0);
    CHECK(lp_decode(p.worker, NULL, &reader, &count) == LP_OK && count == 0);
    CHECK(reader.at == reader.end);
    CHECK(lp_decode(p.worker, NULL, &reader, &count) == LP_CORRUPT);
    CHECK(lua_gettop(p.worker) == 1 && lua_isstring(p.worker, 1));
    close_pair(&p);
}

/* Carry what the chunk returns from one state to the other, as a global. */
static void hand_on(lua_State *from, lua_State *to, const char *chunk,
                    const char *name)
{
    lp_buffer out = {0};
    int count;

    lua_settop(from, 0);
    CHECK(luaL_dostring(from, chunk) == LUA_OK);
    CHECK(lp_encode(from, NULL, 1, 1, LP_ROLE_RESULTS, &out, NULL) == LP_OK);
    lp_reader reader = {out.bytes, out.bytes + out.length, NULL, 0};
    CHECK(lp_decode(to, NULL, &reader, &count) == LP_OK && count == 1);
    lua_setglobal(to, name);
    lp_buffer_clear(&out);
}

static void expect_true(lua_State *L, const char *chunk)
{
    if (luaL_dostring(L, chunk) != LUA_OK || !lua_toboolean(L, -1)) {
        fprintf(stderr, "not true: %s\n", chunk);
        failures++;
    }
    lua_settop(L, 0);
}

/* A class goes on from worker to worker, and home again. */
static void test_class_in_three_states(void)
{
    pair p;
    open_pair(&p);
    lua_State *third = luaL_newstate();
    open_state(&p, third, true);
    hand_on(p.main, p.worker,
            "P = { __index = {} } P.__index.v = 1\n"
            "return setmetatable({ 1 }, P)",
            "o");
    hand_on(p.worker, third, "return o", "o");
    hand_on(p.worker, third, "return setmetatable({ 2 }, getmetatable(o))",
            "q");
    expect_true(third, "return getmetatable(o) == getmetatable(q)");
    hand_on(third, p.main, "return q", "back");
    expect_true(p.main, "return getmetatable(back) == P and back[1] == 2");

    /* As a value, it is brought up to date everywhere but at home. */
    hand_on(p.main, third, "P.__index.v = 5 return P", "C");
    expect_true(third, "return C == getmetatable(o) and o.v == 5");
    hand_on(third, p.worker, "C.__index.v = 6 return C", "C");
    expect_true(p.worker, "return C == getmetatable(o) and o.v == 6");
    hand_on(third, p.main, "return C", "C");
    expect_true(p.main, "return C == P and back.v == 5");
    lua_close(third);
    close_pair(&p);
    CHECK(lp_alloc_live() == 0);
}

/* A state that does nothing but decode does not grow without end. */
static void test_garbage_is_collected(void)
{
    pair p;
    open_pair(&p);
    lua_State *L = p.main;
    int count;
    CHECK(luaL_dostring(L, "local t = {} for i = 1, 20000 do\n"
                           "t[i] = { i } end return t") == LUA_OK);
    CHECK(lp_encode(L, NULL, 1, 1, LP_ROLE_ARGUMENTS, &p.out, NULL) == LP_OK);
    for (int i = 0; i < 200; i++) {
        lp_reader reader = {p.out.bytes, p.out.bytes + p.out.length, NULL, 0};
        CHECK(lp_decode(p.worker, NULL, &reader, &count) == LP_OK);
        lua_settop(p.worker, 0);
    }
    CHECK(lua_gc(p.worker, LUA_GCCOUNT) < 20 * 1024);
    CHECK(lua_gc(p.worker, LUA_GCISRUNNING) == 1);
    close_pair(&p);
}

static void test_library(void)
{
    lp_library *library = lp_library_new(NULL);
    uint32_t a = 0;
    uint32_t b = 0;
    size_t length = 0;

    CHECK(lp_library_keep(library, "abc", 3, &a) == LP_OK && a != 0);
    CHECK(lp_library_keep(library, "abd", 3, &b) == LP_OK && b != a);
    CHECK(lp_library_keep(library, "abc", 3, &b) == LP_OK && b == a);
    CHECK(memcmp(lp_library_find(library, a, &length), "abc", 3) == 0);
    CHECK(length == 3);
    CHECK(!lp_library_find(library, 0, &length));
    CHECK(!lp_library_find(library, 99, &length));
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK(lp_library_keep(library, &i, sizeof(i), &b) == LP_OK);
        CHECK(lp_library_name(library, i + 1, b) == LP_OK);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        b = lp_library_named(library, i + 1);
        const uint8_t *bytes = lp_library_find(library, b, &length);
        CHECK(bytes && memcmp(bytes, &i, sizeof(i)) == 0);
    }
    CHECK(lp_library_named(library, 5000) == 0);
    CHECK(lp_library_new_key(library) != lp_library_new_key(library));
    lp_library_free(library);
    CHECK(lp_alloc_live() == 0);
}

static int fuzz_rounds = 100000;

static void test_fuzz(void)
{
    test_corrupt_input(fuzz_rounds);
}

/* The tests, in the order of the report. */
static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    {"the library keeps, finds and names", test_library},
    {"values, functions and classes travel", run_tests},
    {"messages follow each other", test_several_messages},
    {"classes pass through three states", test_class_in_three_states},
    {"the collector keeps up", test_garbage_is_collected},
    {"memory failures leak nothing", test_memory_failures},
    {"corrupt input is refused", test_fuzz},
};

int main(int argc, char **argv)
{
    const size_t count = sizeof(parts) / sizeof(parts[0]);

    if (argc > 1) fuzz_rounds = atoi(argv[1]);
    for (size_t i = 0; i < count; i++) {
        int before = failures;
        parts[i].run();
        printf("%s %zu - codec: %s\n", failures == before ? "ok" : "not ok",
               i + 1, parts[i].name);
        (void)fflush(stdout);
    }
    printf("1..%zu\n", count);
    return failures == 0 ? 0 : 1;
}
