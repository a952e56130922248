/*
 * items.c - one protected call for many items, as long as none fails.
 *
 * Results begin as plain integers, eight bytes each; the first one that is
 * anything else turns what there is into messages.
 */
#include "vm/items.h"

#include "base/status.h"
#include "vm/vm.h"

#include <string.h>

#define HEADER 8u

/* ---- results ---- */

/* Say where the results are that were made; false if nobody is to know. */
static bool show_results(lp_state *state, uint64_t place)
{
    lp_progress *progress = state->source.progress;
    /* A thread that was given up writes into its own memory alone. */
    if (state->stop &&
        atomic_load_explicit(&state->stop->given_up, memory_order_relaxed))
        return false;
    atomic_store_explicit(&progress->results, place * 4 + state->form,
                          memory_order_release);
    return true;
}

/*
 * The outcomes' memory, for results of all sizes: others may read those that
 * are complete, so it is said where they have moved before their old place
 * can be used again.
 */
static int take_eagerly(void *owner, size_t size, uint64_t *place, void **bytes)
{
    lp_state *state = owner;
    const lp_memory *outcomes = state->outcomes;
    int status = outcomes->take(outcomes->owner, size, place, bytes);
    if (status == LP_OK) state->moving = *place;
    return status;
}

static void drop_eagerly(void *owner, uint64_t place)
{
    lp_state *state = owner;
    const lp_memory *outcomes = state->outcomes;
    const lp_progress *progress = state->source.progress;
    /* A buffer that grows has its new place after this. */
    uint64_t now =
        state->results.place == place ? state->moving : state->results.place;
    if (progress &&
        atomic_load_explicit(&progress->results, memory_order_relaxed) / 4 ==
            place)
        (void)show_results(state, now);
    outcomes->drop(outcomes->owner, place);
}

/* Begin with no results, behind the prefix. Without memory nothing fits. */
static void begin_results(lp_state *state)
{
    lp_buffer *results = &state->results;
    size_t prefix = state->source.prefix;
    lp_buffer_reset(results);
    if (!state->outcomes) state->source.progress = NULL;
    if (state->source.progress) {
        state->eager = (lp_memory){take_eagerly, drop_eagerly, state, 0};
        if (!results->memory) lp_buffer_clear(results);
        results->memory = &state->eager;
    }
    if (prefix > 0 && lp_buffer_reserve(results, prefix) == LP_OK)
        results->length = prefix;
    state->whole = results->length;
}

/* The item before state->next has its results: write it down. */
static void note_progress(lp_state *state)
{
    lp_progress *progress = state->source.progress;
    if (!progress || !show_results(state, state->results.place)) return;
    atomic_store_explicit(&progress->done, state->next - state->first,
                          memory_order_release);
}

/* Put the header of a result in front of what was appended since begin. */
static void seal(lp_buffer *results, size_t begin, lp_ending ending)
{
    uint64_t header = (results->length - begin - HEADER) * 4 + ending;
    memcpy(results->bytes + begin, &header, HEADER);
}

/* Room for a header; gives where it begins. */
static int open_result(lp_buffer *results, size_t *begin)
{
    *begin = results->length;
    int status = lp_buffer_reserve(results, HEADER);
    if (status == LP_OK) results->length += HEADER;
    return status;
}

/* Encode the count values on top as one result. They stay. */
static int add_message(lua_State *L, lp_state *state, int count)
{
    lp_buffer *results = &state->results;
    size_t begin;
    if (open_result(results, &begin) != LP_OK) return LP_NOMEM;
    int status = lp_encode(L, state->codec, lua_gettop(L) - count + 1, count,
                           LP_ROLE_RESULTS, results, NULL);
    if (status == LP_UNSENDABLE) {
        results->length = begin + HEADER;
        lp_ending ending = lp_failure_reason(state, LP_CAUSE_UNSENDABLE, 0,
                                             lua_tostring(L, -1), results);
        lua_pop(L, 1);
        state->items_failed++;
        seal(results, begin, ending);
        return LP_OK;
    }
    if (status != LP_OK) {
        results->length = begin;
        return status;
    }
    seal(results, begin, LP_RETURNED);
    return LP_OK;
}

/* Turn results that are integers into messages. */
static int use_messages(lua_State *L, lp_state *state)
{
    lp_buffer integers = state->results;
    lp_buffer_init(&state->results, integers.allocator);
    begin_results(state);
    state->form = LP_ITEMS_MESSAGES;
    int status = LP_OK;
    for (size_t i = state->source.prefix;
         i + 8 <= integers.length && status == LP_OK; i += 8) {
        int64_t value;
        memcpy(&value, integers.bytes + i, sizeof(value));
        lua_pushinteger(L, value);
        status = add_message(L, state, 1);
        lua_pop(L, 1);
    }
    if (status != LP_OK && state->source.progress)
        (void)show_results(state, 0); /* not all of them are there */
    lp_buffer_clear(&integers);
    state->whole = state->results.length;
    return status;
}

/* The values above the function are the results of an item. */
static void add_results(lua_State *L, lp_state *state, int count)
{
    int status = LP_OK;
    if (state->form == LP_ITEMS_INTEGERS) {
        if (count == 1 && lua_isinteger(L, -1)) {
            int64_t value = lua_tointeger(L, -1);
            status = lp_buffer_append(&state->results, &value, sizeof(value));
            if (status != LP_OK) luaL_error(L, "not enough memory");
            return;
        }
        status = use_messages(L, state);
    }
    if (status == LP_OK) status = add_message(L, state, count);
    if (status != LP_OK) luaL_error(L, "not enough memory");
}

/* The item in progress failed; the error is on top of the stack. */
static void add_failure(lp_state *state, int pcall_status)
{
    lua_State *L = state->L;
    lp_buffer *results = &state->results;
    size_t begin;
    results->length = state->whole; /* without what the item had begun */
    if (state->form == LP_ITEMS_INTEGERS && use_messages(L, state) != LP_OK)
        begin_results(state);
    if (open_result(results, &begin) != LP_OK) {
        lua_pop(L, 1);
        return; /* the consumer sees that the piece is short */
    }
    lp_ending ending = lp_failure_encode(state, pcall_status, results);
    if (lp_stop_is_set(state->stop) &&
        atomic_load(&state->stop->words->cause) == LP_CAUSE_INTERRUPT) {
        state->items_cancelled++;
    } else {
        state->items_failed++;
    }
    seal(results, begin, ending);
    state->whole = results->length;
    lp_state_reclaim(state);
}

/* ---- items ---- */

/* The bytes of the item at the cursor; moves on. */
static lp_reader next_item(lp_state *state)
{
    const lp_items_source *source = &state->source;
    const uint8_t *limit = source->items + source->items_length;
    lp_reader reader = {limit, limit, source->handles, source->handle_count};
    uint64_t header;
    if ((size_t)(limit - state->cursor) < HEADER) return reader;
    memcpy(&header, state->cursor, HEADER);
    state->cursor += HEADER;
    uint64_t length = header / 4;
    if (length > (uint64_t)(limit - state->cursor)) return reader;
    reader.at = state->cursor;
    state->cursor += length;
    reader.end = state->cursor;
    return reader;
}

/* Push the arguments of item number state->next, whose message is given. */
static int push_arguments(lua_State *L, lp_state *state, lp_reader *message)
{
    const lp_items_source *source = &state->source;
    if (source->form == LP_ITEMS_MESSAGES) {
        int count;
        if (lp_decode(L, state->codec, message, &count) != LP_OK) lua_error(L);
        return count;
    }
    int64_t value;
    if (source->form == LP_ITEMS_INTEGERS) {
        memcpy(&value, source->items + (size_t)state->next * 8, sizeof(value));
    } else {
        uint64_t distance = (uint64_t)state->next * (uint64_t)source->step;
        value = (int64_t)((uint64_t)source->first + distance);
    }
    lua_pushinteger(L, value);
    return 1;
}

/* Push the function, fresh from the head. */
static void push_function(lua_State *L, lp_state *state)
{
    const lp_items_source *source = &state->source;
    lp_reader reader = {source->head, source->head + source->head_length,
                        source->handles, source->handle_count};
    int count;
    if (lp_decode(L, state->codec, &reader, &count) != LP_OK) lua_error(L);
}

/* The map's function at LP_AT_FUNCTION, or an error. Argument: the state. */
static int load_body(lua_State *L)
{
    push_function(L, lua_touserdata(L, 1));
    return 1;
}

/* Arguments: the state, the function. Runs items until the end. */
int lp_items_body(lua_State *L)
{
    lp_state *state = lua_touserdata(L, 1);
    while (state->next < state->end) {
        /* Past the item first: whatever fails below, the next one follows. */
        lp_reader message = {0};
        state->item = state->cursor;
        if (state->source.form == LP_ITEMS_MESSAGES) message = next_item(state);
        if (state->source.assigns) {
            push_function(L, state);
        } else {
            lua_pushvalue(L, 2);
        }
        lp_engine_call(L, state, push_arguments(L, state, &message));
        if (state->exited) return luaL_error(L, "os.exit was called");
        add_results(L, state, lua_gettop(L) - 2);
        lua_settop(L, 2);
        state->whole = state->results.length;
        state->next++;
        note_progress(state);
    }
    return 0;
}

/* Go to item number first. */
static void seek(lp_state *state, uint32_t first)
{
    const lp_items_source *source = &state->source;
    state->next = state->end = state->first = first;
    if (source->form != LP_ITEMS_MESSAGES) return;
    state->cursor = source->items + source->index[first / source->stride];
    for (uint32_t i = 0; i < first % source->stride; i++)
        (void)next_item(state);
}

void lp_items_begin(lp_state *state, const lp_items_source *source,
                    uint32_t first)
{
    lua_State *L = state->L;
    state->form = LP_ITEMS_INTEGERS;
    state->source = *source;
    state->items_failed = state->items_cancelled = 0;
    lp_heap_reset(&state->heap);
    begin_results(state);
    seek(state, first);
    if (state->function == source->serial) return;

    /* A function that cannot be decoded fails each item, by decoding it. */
    state->function = source->serial;
    lua_pushcfunction(L, load_body);
    lua_pushlightuserdata(L, state);
    if (lua_pcall(L, 1, 1, LP_AT_HANDLER) != LUA_OK) {
        lua_pop(L, 1);
        state->source.assigns = true;
        state->function = 0;
        return;
    }
    lua_replace(L, LP_AT_FUNCTION);
}

void lp_items_run(lp_state *state, uint32_t count)
{
    lua_State *L = state->L;
    uint32_t attempts = 0;
    state->end = state->next + count;
    while (state->next < state->end) {
        lua_pushvalue(L, LP_AT_ITEMS);
        lua_pushlightuserdata(L, state);
        lua_pushvalue(L, LP_AT_FUNCTION);
        int status = lua_pcall(L, 2, 0, LP_AT_HANDLER);
        if (status == LUA_OK) continue;
        if (state->failed_item != state->next) attempts = 0;
        state->failed_item = state->next;
        if (attempts++ < state->source.retries && !state->exited &&
            !lp_stop_is_set(state->stop)) {
            lua_pop(L, 1);
            state->results.length = state->whole;
            state->cursor = state->item; /* once more */
            lp_state_reclaim(state);
            continue;
        }
        add_failure(state, status);
        state->next++;
        note_progress(state);
    }
    lp_state_reclaim(state);
}

void lp_items_end(lp_state *state, lp_items_made *made)
{
    size_t prefix = state->source.prefix;
    lp_buffer *results = &state->results;
    *made = (lp_items_made){
        .form = state->form,
        .failed = state->items_failed,
        .cancelled = state->items_cancelled,
        .bytes = results->bytes ? results->bytes + prefix : NULL,
        .length = results->length >= prefix ? results->length - prefix : 0,
    };
    if (!state->source.progress) return;
    made->place = lp_buffer_take_place(results);
    if (made->place == 0) made->length = 0;
}
