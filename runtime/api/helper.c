/*
 * helper.c - the program as the helper of process pools.
 *
 * It opens a host and a state, which every child will have, and is the
 * zygote from then on.
 */
#include "api/api.h"
#include "api/find_helper.h"
#include "base/clock.h"
#include "workers/child.h"
#include "workers/zygote_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A child has been forked: the host is that of its process. */
static void begun(void *context, uint32_t depth, uint64_t seed)
{
    lpool *pool = context;
    pool->depth = depth;
    pool->seed ^= seed;
}

static void ended(void *pool)
{
    (void)lpool_close(pool); /* no state is attached */
}

static int serve(lpool *pool, int socket)
{
    char text[LP_BREAK_TEXT];
    /* Its state ends with the process; a leak checker finds it here. */
    static lp_cradle cradle;
    cradle = (lp_cradle){
        .host = &pool->host,
        .setup = {.state = {.allocator = pool->host.allocator,
                            .codec = &pool->worker_codec,
                            .open = lp_caller_open_worker},
                  .kind = "process",
                  .log = pool->config.log,
                  .log_context = pool->config.context},
        .identity = {.host = &pool->host, .kind = "process"},
        .begun = begun,
        .ended = ended,
        .context = pool,
    };
    lp_buffer_init(&cradle.setup.initializer, pool->host.allocator);
    lp_buffer_init(&cradle.setup.finalizer, pool->host.allocator);
    if (lp_cradle_open(&cradle, text, sizeof(text)) != LP_OK) {
        lp_pool_log(pool, text);
        return EXIT_FAILURE;
    }
    const lp_zygote_hooks hooks = {
        .allocator = pool->host.allocator,
        .preload = lp_cradle_preload,
        .child = lp_cradle_child,
        .context = &cradle,
    };
    return lp_zygote_main(socket, &hooks);
}

int lpool_helper_main(int argc, char **argv, const lpool_config *config)
{
    static const char option[] = LP_HELPER_OPTION;
    lp_helper_announce();
    if (argc != 3 || strncmp(argv[1], option, strcspn(option, "=")) != 0)
        return -1;
    if (strcmp(argv[1], option) != 0) {
        fprintf(stderr, "lpool: the helper is lpool %s, and is asked for %s\n",
                lpool_version(), argv[1] + strcspn(argv[1], "=") + 1);
        return EXIT_FAILURE;
    }
    int socket = (int)strtol(argv[2], NULL, 10);
    lpool *pool;
    if (lpool_open(config, &pool) != LP_OK) return EXIT_FAILURE;
    return serve(pool, socket);
}
