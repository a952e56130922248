/*
 * server.c - a server on libuv that never blocks: each line that a client
 * sends is a Lua expression, which a worker computes while the loop goes on.
 *
 * lpool's descriptor is readable when lpool_dispatch has callbacks to run;
 * so the loop polls it like any other, and answers are written from there.
 * The server listens on the path that it is given, and ends when a client
 * says "quit" and has its answer.
 */
#include <lauxlib.h>
#include <lpool.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

typedef struct server {
    uv_loop_t loop;
    uv_pipe_t listener;
    uv_poll_t mail; /* of lpool */
    lua_State *L;
    lpool_executor *executor;
} server;

typedef struct client {
    uv_pipe_t pipe;
    server *owner;
    size_t length; /* of the line so far */
    char line[512];
    int answers; /* that are still to be written */
    int closing;
} client;

typedef struct answer {
    uv_write_t request;
    client *asker;
    lpool_future *future;
    char text[512];
} answer;

/* ---- clients ---- */

static void free_client(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_client(client *one)
{
    one->closing = 1;
    if (one->answers == 0 && !uv_is_closing((uv_handle_t *)&one->pipe))
        uv_close((uv_handle_t *)&one->pipe, free_client);
}

static void written(uv_write_t *request, int status)
{
    answer *given = request->data;
    client *asker = given->asker;
    free(given);
    asker->answers--;
    if (status < 0 || asker->closing) close_client(asker);
}

static void write_answer(answer *given)
{
    uv_buf_t bytes = uv_buf_init(given->text, (unsigned)strlen(given->text));
    given->request.data = given;
    uv_stream_t *stream = (uv_stream_t *)&given->asker->pipe;
    if (uv_write(&given->request, stream, &bytes, 1, written) != 0)
        written(&given->request, -1);
}

/* ---- work ---- */

/* Called by lpool_dispatch when a future has ended; its argument is it. */
static int answered(lua_State *L)
{
    answer *given = lua_touserdata(L, 1);
    int count = 0;
    int status = lpool_future_push(L, given->future, &count);
    const char *text = status == LPOOL_OK && count == 0
                           ? "nothing"
                           : luaL_tolstring(L, 2, NULL);
    snprintf(given->text, sizeof(given->text), "%.500s\n", text);
    lpool_future_release(given->future);
    write_answer(given);
    return 0;
}

static void ask(client *asker, const char *line)
{
    server *own = asker->owner;
    lua_State *L = own->L;
    answer *given = calloc(1, sizeof(*given));
    if (!given) return;
    given->asker = asker;
    asker->answers++;
    int top = lua_gettop(L);
    int length = (int)strlen(line);
    const char *source = lua_pushfstring(L, "return %s", line);
    int status =
        lpool_submit_source(L, own->executor, source, (size_t)length + 7,
                            "=line", 0, NULL, &given->future);
    if (status == LPOOL_OK) {
        lua_pushlightuserdata(L, given);
        lua_pushcfunction(L, answered);
        lpool_future_on_done(L, given->future);
    } else {
        const char *text = lua_tostring(L, -1);
        snprintf(given->text, sizeof(given->text), "%.100s: %.300s\n",
                 lpool_strerror(status), text ? text : "");
        write_answer(given);
    }
    lua_settop(L, top);
}

/* Not for waiting: it returns at once, and the loop goes on. */
static void have_mail(uv_poll_t *handle, int status, int events)
{
    server *own = handle->data;
    (void)events;
    if (status == 0) lpool_dispatch(own->L);
}

/* ---- lines ---- */

static void quit(server *own)
{
    uv_close((uv_handle_t *)&own->listener, NULL);
    uv_close((uv_handle_t *)&own->mail, NULL);
}

static void give_memory(uv_handle_t *handle, size_t wanted, uv_buf_t *bytes)
{
    client *one = handle->data;
    (void)wanted;
    size_t room = sizeof(one->line) - 1 - one->length;
    *bytes = uv_buf_init(one->line + one->length, (unsigned)room);
}

static void have_bytes(uv_stream_t *stream, ssize_t count,
                       const uv_buf_t *bytes)
{
    client *one = stream->data;
    char *end;
    (void)bytes;
    if (count < 0) {
        (void)uv_read_stop(stream);
        close_client(one);
        return;
    }
    one->length += (size_t)count;
    one->line[one->length] = '\0';
    while ((end = strchr(one->line, '\n')) != NULL) {
        *end = '\0';
        if (strcmp(one->line, "quit") == 0) {
            quit(one->owner);
        } else {
            ask(one, one->line);
        }
        one->length -= (size_t)(end + 1 - one->line);
        memmove(one->line, end + 1, one->length + 1);
    }
}

static void have_client(uv_stream_t *listener, int status)
{
    server *own = listener->data;
    client *one = status == 0 ? calloc(1, sizeof(*one)) : NULL;
    if (!one) return;
    one->owner = own;
    uv_pipe_init(&own->loop, &one->pipe, 0);
    one->pipe.data = one;
    if (uv_accept(listener, (uv_stream_t *)&one->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&one->pipe, give_memory, have_bytes) != 0)
        close_client(one);
}

/* ---- the program ---- */

static int start(server *own, const char *path)
{
    int fd;
    int status = lpool_fd(own->L, &fd);
    if (status != LPOOL_OK) return status;
    uv_loop_init(&own->loop);
    uv_pipe_init(&own->loop, &own->listener, 0);
    uv_poll_init(&own->loop, &own->mail, fd);
    own->listener.data = own->mail.data = own;
    uv_poll_start(&own->mail, UV_READABLE, have_mail);
    status = uv_pipe_bind(&own->listener, path);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&own->listener, 16, have_client);
    return status;
}

int main(int argc, char **argv)
{
    server own = {.L = luaL_newstate()};
    lpool *host;
    lpool_config config;
    lpool_executor_config options;
    if (argc != 2) return EXIT_FAILURE;
    lpool_config_init(&config);
    lpool_executor_config_init(&options);
    options.max_workers = 4;
    if (lpool_open(&config, &host) != LPOOL_OK ||
        lpool_attach(host, own.L) != LPOOL_OK ||
        lpool_executor_open(own.L, &options, &own.executor) != LPOOL_OK)
        return EXIT_FAILURE;
    if (start(&own, argv[1]) == 0) {
        puts("listening");
        (void)fflush(stdout);
        uv_run(&own.loop, UV_RUN_DEFAULT);
    }
    uv_loop_close(&own.loop);
    lpool_executor_release(own.executor);
    lua_close(own.L);
    return lpool_close(host);
}
