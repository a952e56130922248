/*
 * class.c - the sender's side of classes.
 *
 * Classes are not encoded where they are met but when the message is
 * written, one after another, so that chains and cycles of them need no
 * stack. The price: when something in a class cannot cross, the way to it
 * is not known any more. Then we hunt: the messages that led there are
 * written again, and stop where the class is met.
 */
#include "codec/class.h"

#include "base/alloc.h"
#include "codec/culprit.h"
#include "codec/names.h"

#include <lauxlib.h>

lp_class *lp_class_push(lua_State *L, lp_codec *codec, int context, int index,
                        uint64_t key)
{
    lp_context_slot(L, context, LP_SLOT_CLASSES);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    lp_class *class = lua_touserdata(L, -1);
    if (class) return class;

    lua_pop(L, 1);
    class = lua_newuserdatauv(L, sizeof(*class), 0);
    *class = (lp_class){.key = key, .foreign = key != 0};
    if (key == 0) class->key = lp_library_new_key(codec->config.library);
    lp_context_slot(L, context, LP_SLOT_KEYS);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, (lua_Integer) class->key);
    lp_context_slot(L, context, LP_SLOT_CLASSES);
    lua_pushvalue(L, index);
    lua_pushvalue(L, -4);
    lua_rawset(L, -3);
    lua_pop(L, 2);
    lp_context_mark(codec, lua_topointer(L, index));
    return class;
}

bool lp_class_is_known(lua_State *L, const lp_encoder *E, int index)
{
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_CLASSES);
    lua_pushvalue(L, index);
    bool known = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return known;
}

/* [-0, +0, m] */
static bool has_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    bool found = lua_rawget(L, index) != LUA_TNIL;
    lua_pop(L, 1);
    return found;
}

bool lp_class_serializes(lua_State *L, const lp_encoder *E, int index)
{
    const lp_identity_entry *entry =
        lp_identity_find(&E->identity, lua_topointer(L, index));

    if (entry && entry->kind == LP_IDENTITY_CLASS && !E->hunted)
        return E->uses[E->locals[entry->number]].serializes;
    return has_field(L, index, "__serialize");
}

/* Make room in a list of count things. 0 or LP_NOMEM. */
static int grow(const lp_encoder *E, void **list, size_t count,
                size_t *capacity, size_t size)
{
    if (count < *capacity) return LP_OK;

    size_t bigger = *capacity * 2 + 8;
    void *moved = lp_realloc(E->codec->config.allocator, *list, bigger * size);
    if (!moved) return LP_NOMEM;
    *list = moved;
    *capacity = bigger;
    return LP_OK;
}

/* Give the use of the class at index in this call. */
static int find_use(lua_State *L, lp_encoder *E, int index, size_t *use)
{
    int context = E->base + LP_BASE_CONTEXT;
    int list = E->base + LP_BASE_CLASSES;
    lp_class *class = lp_class_push(L, E->codec, context, index, 0);

    lua_pop(L, 1);
    *use = class->use;
    if (class->call == E->call) return LP_OK;

    void *uses = E->uses;
    int status =
        grow(E, &uses, E->use_count, &E->use_capacity, sizeof(*E->uses));
    E->uses = uses;
    if (status != LP_OK) return status;
    if (lua_isnil(L, list)) {
        lua_newtable(L);
        lua_replace(L, list);
    }
    lua_pushvalue(L, index);
    lua_rawseti(L, list, (lua_Integer)E->use_count + 1);

    *use = class->use = E->use_count++;
    class->call = E->call;
    E->uses[*use] = (lp_class_use){
        .class = class,
        .parent = E->parent,
        .wanted = class->number == 0,
        .serializes = has_field(L, index, "__serialize"),
    };
    return LP_OK;
}

/* Note the class at index in the message, and its use in the call. */
static int note(lua_State *L, lp_encoder *E, int index,
                lp_identity_entry *entry, lp_class_use **used)
{
    size_t use;
    int status = find_use(L, E, index, &use);
    if (status != LP_OK) return status;

    void *locals = E->locals;
    status = grow(E, &locals, E->local_count, &E->local_capacity,
                  sizeof(*E->locals));
    E->locals = locals;
    if (status != LP_OK) return status;
    entry->kind = LP_IDENTITY_CLASS;
    entry->number = (uint32_t)E->local_count;
    E->locals[E->local_count++] = (uint32_t)use;
    *used = &E->uses[use];
    return LP_OK;
}

/* The same as note(), while hunting: any class but the hunted is passed by. */
static int pass(lua_State *L, const lp_encoder *E, int index,
                lp_identity_entry *entry)
{
    entry->kind = LP_IDENTITY_CLASS;
    entry->number = 0;
    return lua_topointer(L, index) == E->hunted ? LP_UNSENDABLE : LP_OK;
}

static int refer(lua_State *L, lp_encoder *E, int index,
                 lp_identity_entry *entry, bool as_value)
{
    lp_class_use *use;
    int status =
        E->hunted ? pass(L, E, index, entry) : note(L, E, index, entry, &use);

    if (status != LP_OK) return status;
    if (!E->hunted) {
        if (as_value) use->wanted = true;
        if (E->parent >= 0) use->nested = true;
    }
    return lp_encode_known(E, entry);
}

int lp_class_refer(lua_State *L, lp_encoder *E, int index,
                   lp_identity_entry *entry)
{
    return refer(L, E, index, entry, true);
}

int lp_class_encode_metatable(lua_State *L, lp_encoder *E, int index)
{
    bool added;
    lp_identity_entry *entry =
        lp_identity_note(&E->identity, lua_topointer(L, index), &added);

    if (!entry) return LP_NOMEM;
    if (!added) return lp_encode_known(E, entry);
    if (!lp_names_push_module(L, E, index))
        return refer(L, E, index, entry, false);
    int status = lp_encode_number(E, entry);
    if (status != LP_OK) return status;
    return lp_names_put(L, E, LP_TAG_MODULE, lua_gettop(L));
}

int lp_class_note(lua_State *L, lp_encoder *E, int index)
{
    bool added;
    lp_class_use *use;
    lp_identity_entry *entry =
        lp_identity_note(&E->identity, lua_topointer(L, index), &added);

    if (!entry) return LP_NOMEM;
    if (!E->hunted) return note(L, E, index, entry, &use);
    (void)pass(L, E, index, entry); /* the hunt does not end where it starts */
    return LP_OK;
}

/*
 * Replace the object at top by what its __serialize says. [-1, +1, m] What
 * comes back lives as long as the call: its address must not be used again.
 */
static int call_serialize(lua_State *L, lp_encoder *E, int top)
{
    int kept = E->base + LP_BASE_KEPT;

    lua_getmetatable(L, top);
    lua_pushliteral(L, "__serialize");
    lua_rawget(L, top + 1);
    lua_pushvalue(L, top);
    int failure = lua_pcall(L, 1, 1, 0);
    if (failure == LUA_ERRMEM) return lua_error(L);
    if (failure != LUA_OK) {
        return lp_culprit_blame(
            E, "__serialize failed: ", luaL_tolstring(L, -1, NULL));
    }
    lua_replace(L, top);
    lua_settop(L, top);

    if (lua_isnil(L, kept)) {
        lua_newtable(L);
        lua_replace(L, kept);
    }
    lua_pushvalue(L, top);
    lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
    return LP_OK;
}

int lp_class_encode_serialized(lua_State *L, lp_encoder *E, int top, int depth)
{
    bool added;
    int limit = E->limit;
    uint32_t later = E->later_count;
    const void *address = lua_topointer(L, top);
    lp_identity_entry *entry = lp_identity_note(&E->identity, address, &added);

    if (!entry) return LP_NOMEM;
    if (depth >= LP_NEST_HARD)
        return lp_culprit_blame(E, "__serialize in __serialize, too deep", "");
    entry->kind = LP_IDENTITY_PENDING;

    int status = lp_encoder_put_tag(E, LP_TAG_SERIALIZED);
    if (status != LP_OK) return status;
    lua_getmetatable(L, top);
    status = lp_class_encode_metatable(L, E, top + 1);
    if (status != LP_OK) return lp_culprit_add(E, status, "metatable", NULL);
    lua_settop(L, top);
    status = call_serialize(L, E, top);
    if (status != LP_OK) return status;

    /* __deserialize wants a whole value: nothing in it waits for the end. */
    E->limit = depth + 1 + LP_NEST_SOFT;
    if (E->limit > (depth + 1 + LP_NEST_HARD) / 2)
        E->limit = (depth + 1 + LP_NEST_HARD) / 2;
    status = lp_encode_value(L, E, top, depth + 1);
    lua_settop(L, top);
    if (status == LP_OK) status = lp_encode_rest(L, E, depth + 1, later);
    E->limit = limit;

    entry = lp_identity_note(&E->identity, address, &added);
    if (!entry) return LP_NOMEM;
    entry->kind = LP_IDENTITY_OBJECT;
    return lp_culprit_add(E, status, "__serialize", NULL);
}

/* Encode the class of a use, which is at the top, and keep it. */
static int encode_class(lua_State *L, lp_encoder *E, size_t use)
{
    const uint8_t kind = LP_ENTRY_CLASS;
    bool needs_paths = E->needs_paths;
    uint32_t number;
    size_t start;

    E->parent = (int64_t)use;
    E->needs_paths = false;
    E->content.length = 0;
    int status = lp_buffer_append(&E->content, &kind, sizeof(kind));
    if (status == LP_OK) status = lp_message_write(L, E, NULL, &start);
    if (status == LP_OK) status = lp_message_finish(L, E, start);
    if (status != LP_OK) return status;

    status = lp_library_keep(E->codec->config.library, E->content.bytes,
                             E->content.length, &number);
    if (status == LP_INVALID)
        return lp_culprit_blame(E, "one class more than there is room for", "");
    if (status != LP_OK) return status;
    lp_class *class = E->uses[use].class;
    class->number = number;
    class->needs_paths = E->needs_paths;
    E->needs_paths = needs_paths || E->needs_paths;
    return LP_OK;
}

/*
 * The message of a use failed: add the way to it. Writes the messages that
 * led there again, from the inside out.
 */
static int hunt(lua_State *L, lp_encoder *E, int64_t use, const lp_row *row)
{
    int list = E->base + LP_BASE_CLASSES;
    size_t start;
    int status = LP_UNSENDABLE;

    while (status == LP_UNSENDABLE && use >= 0) {
        int64_t parent = E->uses[use].parent;
        lua_rawgeti(L, list, (lua_Integer)use + 1);
        E->hunted = lua_topointer(L, -1);
        if (parent >= 0) lua_rawgeti(L, list, (lua_Integer)parent + 1);
        E->parent = parent;
        lp_buffer_reset(&E->content);
        status = lp_message_write(L, E, parent >= 0 ? NULL : row, &start);
        lp_buffer_reset(&E->content);
        if (status == LP_OK)
            return lp_culprit_add(E, LP_UNSENDABLE, "...", NULL);
        use = parent;
    }
    return status;
}

/* Let the classes that others refer to by key be found by it. */
static int name_classes(const lp_encoder *E)
{
    for (size_t i = 0; i < E->use_count; i++) {
        const lp_class *class = E->uses[i].class;
        if (!E->uses[i].nested) continue;
        int status = lp_library_name(E->codec->config.library, class->key,
                                     class->number);
        if (status != LP_OK) return status;
    }
    return LP_OK;
}

int lp_class_finish(lua_State *L, lp_encoder *E, const lp_row *row)
{
    int top = lua_gettop(L);
    bool again = true;

    E->out = &E->content;
    while (again) {
        again = false;
        for (size_t i = 0; i < E->use_count; i++) {
            if (!E->uses[i].wanted || E->uses[i].done) continue;
            E->uses[i].done = again = true;
            lua_rawgeti(L, E->base + LP_BASE_CLASSES, (lua_Integer)i + 1);
            int status = encode_class(L, E, i);
            if (status == LP_UNSENDABLE) status = hunt(L, E, (int64_t)i, row);
            if (status != LP_OK) return status;
            lua_settop(L, top);
        }
    }
    return name_classes(E);
}
