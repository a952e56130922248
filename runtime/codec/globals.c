/*
 * globals.c - a walk through the functions of a dump.
 *
 * Globals are fields of an upvalue _ENV, with a constant for a key. Nested
 * functions reach the same upvalue through descriptions of their own; the
 * walk takes along which of its upvalues each function shares with the
 * outermost. Where an instruction cannot name upvalue and constant directly
 * (in functions of very many constants, and in _G.name), registers are
 * followed from one instruction to the next, without regard to jumps: at
 * worst we see a global that is never used.
 */
#include "codec/globals.h"

#include "base/status.h"

#include <lua.h>
#include <string.h>

/* The parts of the header, from Lua's lundump.h. */
#define CHECK_DATA    "\x19\x93\r\n\x1a\n"
#define CHECK_INTEGER ((lua_Integer)0x5678)
#define CHECK_NUMBER  ((lua_Number)370.5)

/* Tags of constants. */
enum {
    CONSTANT_NIL = 0x00,
    CONSTANT_FALSE = 0x01,
    CONSTANT_TRUE = 0x11,
    CONSTANT_INTEGER = 0x03,
    CONSTANT_FLOAT = 0x13,
    CONSTANT_SHORT_STRING = 0x04,
    CONSTANT_LONG_STRING = 0x14,
};

/* The instructions that matter here, from Lua's lopcodes.h. */
enum {
    OP_MOVE = 0,
    OP_LOADK = 3,
    OP_LOADNIL = 8,
    OP_GETUPVAL = 9,
    OP_SETUPVAL = 10,
    OP_GETTABUP = 11,
    OP_GETTABLE = 12,
    OP_GETFIELD = 14,
    OP_SETTABUP = 15,
    OP_SETTABLE = 16,
    OP_SETI = 17,
    OP_SETFIELD = 18,
    OP_CALL = 68,
    OP_TAILCALL = 69,
    OP_TFORCALL = 76,
    OP_VARARG = 80,
};

#define LOCAL     0xff /* in a map: no upvalue of the outermost function */
#define DEEPEST   200  /* Lua's own limit for nested functions */
#define REGISTERS 256

typedef struct string {
    const char *text;
    size_t length;
} string;

typedef struct walk {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *start;
    bool broken;
    lp_layout *found;        /* filled in by the first walk */
    const lp_layout *layout; /* given to the second walk */
    lp_buffer *accesses;
    lp_buffer constants; /* of the function at hand, each a string */
    bool assigns;
    bool starved; /* memory was short */
} walk;

bool lp_globals_check_header(const uint8_t *dump, size_t length)
{
    static const uint8_t fixed[] = LUA_SIGNATURE "\x54"
                                                 "\0" CHECK_DATA;
    const lua_Integer integer = CHECK_INTEGER;
    const lua_Number number = CHECK_NUMBER;
    size_t at = sizeof(fixed) - 1;

    if (length < at + 3 + sizeof(integer) + sizeof(number)) return false;
    if (memcmp(dump, fixed, at) != 0) return false;
    if (dump[at] != sizeof(uint32_t) || dump[at + 1] != sizeof(integer) ||
        dump[at + 2] != sizeof(number))
        return false;
    at += 3;
    lua_Integer found_integer;
    lua_Number found_number;
    memcpy(&found_integer, dump + at, sizeof(found_integer));
    memcpy(&found_number, dump + at + sizeof(found_integer),
           sizeof(found_number));
    return found_integer == integer && found_number == number;
}

/* The header, and the byte that says how many upvalues the function has. */
static size_t header_size(void)
{
    return sizeof(LUA_SIGNATURE) - 1 + 2 + sizeof(CHECK_DATA) - 1 + 3 +
           sizeof(lua_Integer) + sizeof(lua_Number) + 1;
}

static void skip(walk *w, size_t size)
{
    if ((size_t)(w->end - w->at) < size) {
        w->broken = true;
        size = 0;
    }
    w->at += size;
}

static uint8_t read_byte(walk *w)
{
    const uint8_t *at = w->at;

    skip(w, 1);
    return w->broken ? 0 : *at;
}

/* A number in groups of seven bits, the last of them marked. */
static size_t read_size(walk *w)
{
    size_t size = 0;
    uint8_t byte = 0;

    while (!w->broken && !(byte & 0x80)) {
        byte = read_byte(w);
        if (size > SIZE_MAX >> 7) w->broken = true;
        size = (size << 7) | (byte & 0x7f);
    }
    return w->broken ? 0 : size;
}

static string read_string(walk *w)
{
    size_t size = read_size(w);
    string found = {NULL, 0};

    if (size > 0) {
        found = (string){(const char *)w->at, size - 1};
        skip(w, size - 1);
    }
    return found;
}

/* Skip count things of a size. */
static void skip_row(walk *w, size_t count, size_t size)
{
    if (count > (size_t)(w->end - w->at) / size) {
        w->broken = true;
    } else {
        skip(w, count * size);
    }
}

static void read_constants(walk *w)
{
    size_t count = read_size(w);

    w->constants.length = 0;
    for (size_t i = 0; i < count && !w->broken; i++) {
        string constant = {NULL, 0};
        switch (read_byte(w)) {
        case CONSTANT_NIL:
        case CONSTANT_FALSE:
        case CONSTANT_TRUE:
            break;
        case CONSTANT_INTEGER:
            skip(w, sizeof(lua_Integer));
            break;
        case CONSTANT_FLOAT:
            skip(w, sizeof(lua_Number));
            break;
        case CONSTANT_SHORT_STRING:
        case CONSTANT_LONG_STRING:
            constant = read_string(w);
            break;
        default:
            w->broken = true;
        }
        if (w->layout && !w->starved &&
            lp_buffer_append(&w->constants, &constant, sizeof(constant)) != 0)
            w->starved = true;
    }
}

/* What a register holds, as far as it matters. */
enum { UNKNOWN = 0, GLOBALS = -1 }; /* else: number of a constant, plus 1 */

typedef struct scan {
    walk *w;
    const uint8_t *map; /* upvalue -> upvalue of the outermost, or LOCAL */
    int registers[REGISTERS];
} scan;

static bool is_environment(const scan *s, unsigned upvalue)
{
    uint8_t outer = upvalue < LP_MOST_UPVALUES ? s->map[upvalue] : LOCAL;

    return outer != LOCAL && s->w->layout->environments[outer];
}

static string constant(const scan *s, size_t i)
{
    string found = {NULL, 0};

    if (i < s->w->constants.length / sizeof(found)) {
        memcpy(&found, s->w->constants.bytes + i * sizeof(found),
               sizeof(found));
    }
    return found;
}

/* Note an access to the field of the globals that constant i names. */
static void note_access(scan *s, size_t i, bool assigns)
{
    string name = constant(s, i);
    lp_access access = {name.text, name.length, assigns};

    if (name.text && !s->w->starved &&
        lp_buffer_append(s->w->accesses, &access, sizeof(access)) != 0)
        s->w->starved = true;
}

/* What register a holds after it was loaded with a field of the globals. */
static int loaded(const scan *s, size_t i)
{
    string name = constant(s, i);

    return name.length == 2 && memcmp(name.text, "_G", 2) == 0 ? GLOBALS
                                                               : UNKNOWN;
}

static void forget_from(scan *s, unsigned first)
{
    memset(s->registers + first, 0,
           (REGISTERS - first) * sizeof(s->registers[0]));
}

/* Note what an instruction does that stores, or changes many registers. */
static bool scan_store(scan *s, unsigned op, unsigned a, unsigned b)
{
    switch (op) {
    case OP_SETTABUP:
        if (is_environment(s, a)) note_access(s, b, true);
        return true;
    case OP_SETFIELD:
        if (s->registers[a] == GLOBALS) note_access(s, b, true);
        return true;
    case OP_SETTABLE:
        if (s->registers[a] == GLOBALS && s->registers[b] > 0)
            note_access(s, (size_t)s->registers[b] - 1, true);
        return true;
    case OP_SETI:
        return true;
    case OP_SETUPVAL:
        if (b < LP_MOST_UPVALUES && s->map[b] != LOCAL) s->w->assigns = true;
        return true;
    case OP_CALL:
    case OP_TAILCALL:
    case OP_TFORCALL:
    case OP_VARARG:
    case OP_LOADNIL:
        forget_from(s, a);
        return true;
    default:
        return false;
    }
}

static void scan_instruction(scan *s, uint32_t code)
{
    unsigned op = code & 0x7f;
    unsigned a = (code >> 7) & 0xff;
    unsigned b = (code >> 16) & 0xff;
    unsigned c = code >> 24;
    int result = UNKNOWN;

    if (scan_store(s, op, a, b)) return;
    switch (op) {
    case OP_MOVE:
        result = s->registers[b];
        break;
    case OP_LOADK:
        result = (int)(code >> 15) + 1;
        break;
    case OP_GETUPVAL:
        if (is_environment(s, b)) result = GLOBALS;
        break;
    case OP_GETTABUP:
        if (!is_environment(s, b)) break;
        note_access(s, c, false);
        result = loaded(s, c);
        break;
    case OP_GETFIELD:
        if (s->registers[b] != GLOBALS) break;
        note_access(s, c, false);
        result = loaded(s, c);
        break;
    case OP_GETTABLE:
        if (s->registers[b] != GLOBALS || s->registers[c] <= 0) break;
        note_access(s, (size_t)s->registers[c] - 1, false);
        result = loaded(s, (size_t)s->registers[c] - 1);
        break;
    default:
        break;
    }
    s->registers[a] = result;
}

static void scan_code(walk *w, const uint8_t *code, size_t count,
                      const uint8_t *map)
{
    scan s = {.w = w, .map = map};

    for (size_t i = 0; i < count; i++) {
        uint32_t instruction;
        memcpy(&instruction, code + i * sizeof(instruction),
               sizeof(instruction));
        scan_instruction(&s, instruction);
    }
}

/* Read descriptions of upvalues; gives which of the outermost they are. */
static size_t read_upvalues(walk *w, const uint8_t *outer, uint8_t *map)
{
    size_t count = read_size(w);

    if (!outer && w->found) w->found->upvalues = (size_t)(w->at - w->start);
    if (count > LP_MOST_UPVALUES) w->broken = true;
    for (size_t i = 0; i < count && !w->broken; i++) {
        bool in_stack = read_byte(w) != 0;
        uint8_t index = read_byte(w);
        skip(w, 1);
        if (!outer) {
            map[i] = (uint8_t)i;
        } else {
            map[i] = in_stack ? LOCAL : outer[index];
        }
    }
    return w->broken ? 0 : count;
}

static void skip_debug(walk *w)
{
    skip_row(w, read_size(w), 1); /* lines */
    for (size_t i = read_size(w); i > 0 && !w->broken; i--) {
        (void)read_size(w); /* an instruction */
        (void)read_size(w); /* its line */
    }
    for (size_t i = read_size(w); i > 0 && !w->broken; i--) {
        (void)read_string(w); /* a local variable */
        (void)read_size(w);
        (void)read_size(w);
    }
}

static void read_upvalue_names(walk *w, lp_layout *found)
{
    size_t count = read_size(w);

    for (size_t i = 0; i < count && !w->broken; i++) {
        string name = read_string(w);
        if (!found || !name.text || i >= LP_MOST_UPVALUES) continue;
        found->named = true;
        found->environments[i] =
            name.length == 4 && memcmp(name.text, "_ENV", 4) == 0;
    }
}

/* Read a function; outer: the map of the one around it, or NULL. */
/* NOLINTNEXTLINE(misc-no-recursion): no deeper than DEEPEST */
static void read_function(walk *w, const uint8_t *outer, int depth)
{
    uint8_t map[LP_MOST_UPVALUES + 1];

    if (depth > DEEPEST) w->broken = true;
    memset(map, LOCAL, sizeof(map));
    (void)read_string(w); /* source */
    (void)read_size(w);   /* first line */
    (void)read_size(w);   /* last line */
    skip(w, 3);           /* parameters, vararg, stack size */

    size_t count = read_size(w);
    const uint8_t *code = w->at;
    skip_row(w, count, sizeof(uint32_t));
    read_constants(w);
    size_t upvalues = read_upvalues(w, outer, map);
    if (!outer && w->found) {
        w->found->code = (size_t)(code - w->start);
        w->found->upvalue_count = (unsigned)upvalues;
    }
    if (w->layout && !w->broken && !w->starved) scan_code(w, code, count, map);
    for (size_t i = read_size(w); i > 0 && !w->broken; i--)
        read_function(w, map, depth + 1);
    skip_debug(w);
    read_upvalue_names(w, outer ? NULL : w->found);
}

int lp_globals_layout(const uint8_t *dump, size_t length, lp_layout *layout)
{
    walk w = {.start = dump, .at = dump, .end = dump + length};

    memset(layout, 0, sizeof(*layout));
    layout->function = header_size();
    w.found = layout;
    skip(&w, layout->function);
    read_function(&w, NULL, 0);
    return w.broken || w.at != w.end ? LP_CORRUPT : LP_OK;
}

int lp_globals_scan(const uint8_t *dump, size_t length, const lp_layout *layout,
                    lp_buffer *accesses, bool *assigns)
{
    walk w = {.start = dump, .at = dump, .end = dump + length};

    w.layout = layout;
    w.accesses = accesses;
    lp_buffer_init(&w.constants, accesses->allocator);
    skip(&w, layout->function);
    read_function(&w, NULL, 0);
    lp_buffer_clear(&w.constants);
    *assigns = w.assigns;
    if (w.starved) return LP_NOMEM;
    return w.broken || w.at != w.end ? LP_CORRUPT : LP_OK;
}
