/*
 * game.c - a loop that draws frames and never waits: work for the workers is
 * submitted when it comes up, and looked at once in each frame.
 *
 * Paths are found by Lua, in processes, which may crash alone; terrain is
 * made by a plain C function, in threads. What the workers' Lua can do besides
 * is in open_state: the module "terrain", in C.
 */
#include <lauxlib.h>
#include <lpool.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MILLISECONDS 5
#define CHUNKS             4
#define WIDTH              64

/* ---- what workers need ---- */

static int terrain_height(lua_State *L)
{
    lua_Integer x = luaL_checkinteger(L, 1);
    lua_pushinteger(L, (x * 7919) % 13);
    return 1;
}

static int terrain_climb(lua_State *L)
{
    lua_Integer from = luaL_checkinteger(L, 1), to = luaL_checkinteger(L, 2);
    lua_Integer sum = 0;
    for (lua_Integer x = from; x < to; x++)
        sum += (x * 7919) % 13;
    lua_pushinteger(L, sum);
    return 1;
}

static int open_terrain(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"height", terrain_height}, {"climb", terrain_climb}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}

/* Called in each new worker state, in this process or in a child. */
static void open_state(lua_State *L)
{
    luaL_requiref(L, "terrain", open_terrain, 0);
    lua_pop(L, 1);
}

/* ---- a chunk of terrain, made in C ---- */

typedef struct chunk {
    int number;
    int heights[WIDTH];
} chunk;

static int64_t make_chunk(void *data)
{
    chunk *made = data;
    int64_t sum = 0;
    for (int i = 0; i < WIDTH; i++)
        sum += made->heights[i] = (made->number * WIDTH + i) % 17;
    return sum;
}

/* ---- the game ---- */

typedef struct game {
    lua_State *L;
    lpool_executor *threads, *processes;
    lpool_future *chunks[CHUNKS];
    chunk made[CHUNKS];
    lpool_future *path;
    int frames;
    int left; /* to be done before the game is over */
} game;

static void fail(game *play, const char *what, int status)
{
    const char *text = lua_tostring(play->L, -1);
    fprintf(stderr, "%s: %s (%s)\n", what, lpool_strerror(status),
            text ? text : "no more is known");
    exit(EXIT_FAILURE);
}

static lpool_executor *open_executor(game *play, lpool_kind kind)
{
    lpool_executor_config config;
    lpool_executor *executor = NULL;
    lpool_executor_config_init(&config);
    config.kind = kind;
    config.max_workers = 2;
    int status = lpool_executor_open(play->L, &config, &executor);
    if (status != LPOOL_OK) fail(play, "no executor", status);
    return executor;
}

static void begin(game *play)
{
    int status = LPOOL_OK;
    play->threads = open_executor(play, LPOOL_THREADS);
    play->processes = open_executor(play, LPOOL_PROCESSES);
    for (int i = 0; i < CHUNKS && status == LPOOL_OK; i++) {
        play->made[i].number = i;
        status = lpool_submit_c(play->L, play->threads, make_chunk,
                                &play->made[i], NULL, NULL, &play->chunks[i]);
    }
    if (status != LPOOL_OK) fail(play, "no terrain", status);
    lua_pushinteger(play->L, 0);
    lua_pushinteger(play->L, 100);
    status = lpool_submit_named(play->L, play->processes, "terrain", "climb", 2,
                                NULL, &play->path);
    if (status != LPOOL_OK) fail(play, "no path", status);
    play->left = CHUNKS + 1;
}

/* Take the result of a future that has ended, and forget it. */
static void take(game *play, lpool_future **future, const char *what)
{
    int count;
    if (!*future || lpool_future_state(*future) < LPOOL_FINISHED) return;
    int status = lpool_future_push(play->L, *future, &count);
    if (status != LPOOL_OK) fail(play, what, status);
    printf("%s: %d\n", what, (int)lua_tointeger(play->L, -count));
    lua_pop(play->L, count);
    lpool_future_release(*future);
    *future = NULL;
    play->left--;
}

static void frame(game *play)
{
    play->frames++;
    for (int i = 0; i < CHUNKS; i++)
        take(play, &play->chunks[i], "chunk");
    take(play, &play->path, "path");
    (void)poll(NULL, 0, FRAME_MILLISECONDS); /* here the picture is drawn */
}

int main(int argc, char **argv)
{
    lpool *host;
    lpool_config config;
    lpool_config_init(&config);
    config.open_state = open_state;
    /* The workers of process pools are children of this program, too. */
    int code = lpool_helper_main(argc, argv, &config);
    if (code >= 0) return code;

    if (lpool_open(&config, &host) != LPOOL_OK) return EXIT_FAILURE;
    game play = {.L = luaL_newstate()};
    lpool_attach(host, play.L);
    begin(&play);
    while (play.left > 0 && play.frames < 10000)
        frame(&play);
    puts(play.left == 0 ? "over" : "given up");
    lpool_executor_release(play.threads);
    lpool_executor_release(play.processes);
    lua_close(play.L);
    return lpool_close(host);
}
