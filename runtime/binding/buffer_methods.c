/*
 * buffer_methods.c - buffers in Lua: numbers in memory that all workers map.
 *
 * Others may read and write the same number at the same time, so each is read
 * and written in one piece.
 */
#include "binding/binding.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

static const char *const types[] = {"u8", "i32", "i64", "f32", "f64", NULL};

static const size_t sizes[] = {1, 4, 8, 4, 8};

/* The least and the largest of the types of integers. */
static const lua_Integer least[] = {0, INT32_MIN, LUA_MININTEGER};
static const lua_Integer largest[] = {UINT8_MAX, INT32_MAX, LUA_MAXINTEGER};

/* What is needed of a buffer. */
typedef struct numbers {
    lpool_number type;
    uint64_t count;
    union {
        _Atomic uint8_t *u8;
        _Atomic int32_t *i32;
        _Atomic int64_t *i64;
        _Atomic uint32_t *f32;
        _Atomic uint64_t *f64;
        void *any;
    } at;
} numbers;

static numbers self_numbers(lua_State *L)
{
    numbers self;
    lpool_object *buffer = lp_check_object(L, 1, LPOOL_BUFFER);
    self.at.any = lpool_buffer_numbers(buffer, &self.type, &self.count);
    return self;
}

static void push_number(lua_State *L, const numbers *self, uint64_t i)
{
    uint32_t bits32;
    uint64_t bits64;
    float f32;
    double f64;
    switch (self->type) {
    case LPOOL_U8:
        lua_pushinteger(
            L, atomic_load_explicit(&self->at.u8[i], memory_order_relaxed));
        break;
    case LPOOL_I32:
        lua_pushinteger(
            L, atomic_load_explicit(&self->at.i32[i], memory_order_relaxed));
        break;
    case LPOOL_I64:
        lua_pushinteger(
            L, atomic_load_explicit(&self->at.i64[i], memory_order_relaxed));
        break;
    case LPOOL_F32:
        bits32 = atomic_load_explicit(&self->at.f32[i], memory_order_relaxed);
        memcpy(&f32, &bits32, sizeof(f32));
        lua_pushnumber(L, (lua_Number)f32);
        break;
    case LPOOL_F64:
        bits64 = atomic_load_explicit(&self->at.f64[i], memory_order_relaxed);
        memcpy(&f64, &bits64, sizeof(f64));
        lua_pushnumber(L, f64);
        break;
    }
}

/* The bits of the number at index of the stack, which is checked. */
static uint64_t check_bits(lua_State *L, const numbers *self, int index)
{
    uint64_t bits = 0;
    if (lua_type(L, index) != LUA_TNUMBER)
        luaL_error(L, "the value has to be a number, got a %s",
                   luaL_typename(L, index));
    if (self->type == LPOOL_F64) {
        double f64 = lua_tonumber(L, index);
        memcpy(&bits, &f64, sizeof(f64));
        return bits;
    }
    if (self->type == LPOOL_F32) {
        lua_Number wide = lua_tonumber(L, index);
        float f32 = (float)wide;
        if (isinf(f32) && !isinf(wide))
            luaL_error(L, "the value %f is out of range for f32", wide);
        memcpy(&bits, &f32, sizeof(f32));
        return bits;
    }
    int fits;
    lua_Integer value = lua_tointegerx(L, index, &fits);
    if (!fits)
        luaL_error(L, "the value has to be an integer, got %f",
                   lua_tonumber(L, index));
    if (value < least[self->type] || value > largest[self->type])
        luaL_error(L, "the value %I is out of range for %s", (LUAI_UACINT)value,
                   types[self->type]);
    return (uint64_t)value;
}

static void put_bits(const numbers *self, uint64_t i, uint64_t bits)
{
    switch (self->type) {
    case LPOOL_U8:
        atomic_store_explicit(&self->at.u8[i], (uint8_t)bits,
                              memory_order_relaxed);
        break;
    case LPOOL_I32:
    case LPOOL_F32:
        atomic_store_explicit(&self->at.f32[i], (uint32_t)bits,
                              memory_order_relaxed);
        break;
    case LPOOL_I64:
    case LPOOL_F64:
        atomic_store_explicit(&self->at.f64[i], bits, memory_order_relaxed);
        break;
    }
}

/* The place, from 0, of the index at index of the stack. */
static uint64_t check_place(lua_State *L, const numbers *self, int index)
{
    int fits;
    lua_Integer i = lua_tointegerx(L, index, &fits);
    if (!fits || lua_type(L, index) != LUA_TNUMBER)
        luaL_error(L, "the index has to be an integer, got %s",
                   lua_isnone(L, index) ? "nothing"
                                        : luaL_tolstring(L, index, NULL));
    if (i < 1 || (uint64_t)i > self->count)
        luaL_error(L, "the index %I is not in 1 to %I", (LUAI_UACINT)i,
                   (LUAI_UACINT)self->count);
    return (uint64_t)i - 1;
}

static lpool_number check_type(lua_State *L, int index)
{
    size_t length = 0;
    const char *name = lua_tolstring(L, index, &length);
    for (int i = 0; types[i] && lua_type(L, index) == LUA_TSTRING; i++)
        if (strlen(types[i]) == length && memcmp(types[i], name, length) == 0)
            return (lpool_number)i;
    luaL_error(L,
               "unknown type '%s' of a buffer (known: u8, i32, i64, f32, "
               "f64)",
               luaL_tolstring(L, index, NULL));
    return LPOOL_U8;
}

/*
 * Let the collector, to which a buffer is a few bytes, know what it holds: so
 * that others which nobody has any more are found in time.
 */
static void weigh(lua_State *L, lpool_number type, lua_Integer count)
{
    double kib = (double)count * (double)sizes[type] / 1024;
    if (kib < 64 || lua_gc(L, LUA_GCISRUNNING) != 1) return;
    lua_gc(L, LUA_GCSTEP, kib < INT_MAX / 2 ? (int)kib : INT_MAX / 2);
}

/*** lpool.buffer(type, n) */
int lp_new_buffer(lua_State *L)
{
    luaL_checkany(L, 1);
    lpool_number type = check_type(L, 1);
    if (lua_type(L, 2) != LUA_TNUMBER) luaL_typeerror(L, 2, "number");
    lua_Integer count = luaL_checkinteger(L, 2);
    luaL_argcheck(L, count >= 0, 2, "the number of numbers is at least 0");
    lpool_object *buffer;
    weigh(L, type, count);
    int status = lpool_buffer_open(L, type, (uint64_t)count, &buffer);
    if (status == LPOOL_ENOMEM)
        return luaL_error(L, "not enough memory for a buffer of %I %s",
                          (LUAI_UACINT)count, types[type]);
    return lp_push_new_object(L, status, buffer);
}

/*** buffer:get(i) */
static int buffer_get(lua_State *L)
{
    numbers self = self_numbers(L);
    push_number(L, &self, check_place(L, &self, 2));
    return 1;
}

/*** buffer:set(i, value) */
static int buffer_set(lua_State *L)
{
    numbers self = self_numbers(L);
    uint64_t i = check_place(L, &self, 2);
    put_bits(&self, i, check_bits(L, &self, 3));
    return 0;
}

/*** buffer[i], and methods by name: the upvalue */
static int buffer_index(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING) {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
        return 1;
    }
    return buffer_get(L);
}

/*** buffer:fill(value) */
static int buffer_fill(lua_State *L)
{
    numbers self = self_numbers(L);
    uint64_t bits = check_bits(L, &self, 2);
    for (uint64_t i = 0; i < self.count; i++)
        put_bits(&self, i, bits);
    return 0;
}

static int buffer_length(lua_State *L)
{
    numbers self = self_numbers(L);
    lua_pushinteger(L, (lua_Integer)self.count);
    return 1;
}

/* An end of a part; if it is absent, the one that is given. */
static lua_Integer check_bound(lua_State *L, const numbers *self, int index,
                               lua_Integer absent)
{
    if (lua_isnoneornil(L, index)) return absent;
    return (lua_Integer)check_place(L, self, index) + 1;
}

/*** buffer:string([first [, last]]): the bytes of a part */
static int buffer_string(lua_State *L)
{
    numbers self = self_numbers(L);
    lua_Integer count = (lua_Integer)self.count;
    lua_Integer first = check_bound(L, &self, 2, 1);
    lua_Integer last = check_bound(L, &self, 3, count);
    if (last < first) last = first - 1;
    size_t size = sizes[self.type];
    size_t length = (size_t)(last - first + 1) * size;
    luaL_Buffer text;
    char *to = luaL_buffinitsize(L, &text, length);
    const char *from = (const char *)self.at.any + (size_t)(first - 1) * size;
    memcpy(to, from, length);
    luaL_pushresultsize(&text, length);
    return 1;
}

static int buffer_tostring(lua_State *L)
{
    numbers self = self_numbers(L);
    lua_pushfstring(L, "buffer: %I %s", (LUAI_UACINT)self.count,
                    types[self.type]);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", lp_object_gc},
    {"__newindex", buffer_set},
    {"__len", buffer_length},
    {"__tostring", buffer_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"get", buffer_get},       {"set", buffer_set}, {"fill", buffer_fill},
    {"string", buffer_string}, {NULL, NULL},
};

void lp_open_buffers(lua_State *L)
{
    lp_open_object(L, metamethods, methods);
    lua_pushcclosure(L, buffer_index, 1);
    lua_setfield(L, -2, "__index");
    lua_setfield(L, LUA_REGISTRYINDEX, LPOOL_BUFFER_TYPE);
}
