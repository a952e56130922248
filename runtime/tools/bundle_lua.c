/*
 * bundle_lua.c - a tool of the build: compiles Lua modules into a C file.
 *
 *     bundle_lua <output.c> <folder> <folder/module.lua> ...
 *
 * Each file becomes an array with its bytecode, debug information included,
 * and an entry in the table that vm/bundle_data.h declares. The chunk of
 * lua/lpool/options.lua is called "@lpool/options.lua" and the module
 * "lpool.options"; lua/lpool/init.lua is the module "lpool". The tool is
 * linked with the Lua that will load the bytecode.
 *
 * SPDX-License-Identifier: MIT
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct output {
    FILE *file;
    size_t count; /* bytes written to the present array */
} output;

static int write_bytes(lua_State *L, const void *bytes, size_t length,
                       void *context)
{
    output *out = context;
    const unsigned char *at = bytes;

    (void)L; /* The signature is that of lua_Writer. */
    for (size_t i = 0; i < length; i++, out->count++) {
        fprintf(out->file, "%s%u,", out->count % 18 == 0 ? "\n    " : "",
                (unsigned)at[i]);
    }
    return ferror(out->file);
}

/* Push the whole file as a string. [-0, +1, e] */
static void push_file(lua_State *L, const char *path)
{
    luaL_Buffer buffer;
    FILE *file = fopen(path, "rb");
    size_t count;

    if (!file) luaL_error(L, "cannot open %s", path);
    luaL_buffinit(L, &buffer);
    do {
        char *room = luaL_prepbuffer(&buffer);
        count = fread(room, 1, LUAL_BUFFERSIZE, file);
        luaL_addsize(&buffer, count);
    } while (count > 0);
    fclose(file);
    luaL_pushresult(&buffer);
}

/* Write the bytecode of a file as the array of that number. [-0, +0, e] */
static void write_array(lua_State *L, FILE *file, const char *path,
                        const char *below, int number)
{
    output out = {file, 0};
    size_t length;

    push_file(L, path);
    const char *source = lua_tolstring(L, -1, &length);
    const char *chunk_name = lua_pushfstring(L, "@%s", below);
    if (luaL_loadbufferx(L, source, length, chunk_name, "t") != LUA_OK)
        lua_error(L);
    fprintf(file, "static const unsigned char module_%d[] = {", number);
    if (lua_dump(L, write_bytes, &out, 0) != 0)
        luaL_error(L, "cannot write the bytecode of %s", path);
    fputs("\n};\n\n", file);
    lua_pop(L, 3);
}

/* Write the entry of the module in a file such as "lpool/init.lua". */
static void write_entry(FILE *file, const char *below, int number)
{
    static const char init[] = "/init";
    size_t length = strlen(below) - strlen(".lua");
    size_t stem = length > strlen(init) ? length - strlen(init) : 0;

    if (stem > 0 && memcmp(below + stem, init, strlen(init)) == 0)
        length = stem;
    fputs("    {\"", file);
    for (size_t i = 0; i < length; i++)
        fputc(below[i] == '/' ? '.' : below[i], file);
    fprintf(file, "\", module_%d, sizeof(module_%d)},\n", number, number);
}

/* bundle(arguments): what main does, in protected mode. */
static int bundle(lua_State *L)
{
    char **argv = lua_touserdata(L, 1);
    size_t skip = strlen(argv[2]) + 1; /* the folder and its slash */
    FILE *file = fopen(argv[1], "w");

    if (!file) return luaL_error(L, "cannot write %s", argv[1]);
    fputs("/* Written by runtime/tools/bundle_lua.c. */\n"
          "#include \"vm/bundle_data.h\"\n\n",
          file);
    for (int i = 3; argv[i]; i++)
        write_array(L, file, argv[i], argv[i] + skip, i - 2);
    fputs("const lp_bundle_module lp_bundle_modules[] = {\n", file);
    for (int i = 3; argv[i]; i++)
        write_entry(file, argv[i] + skip, i - 2);
    fputs("    {0, 0, 0},\n};\n", file);
    if (fclose(file) != 0) return luaL_error(L, "cannot write %s", argv[1]);
    return 0;
}

int main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();

    if (!L || argc < 3) {
        fputs("usage: bundle_lua <output.c> <folder> <file> ...\n", stderr);
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, bundle);
    lua_pushlightuserdata(L, argv);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) {
        fprintf(stderr, "bundle_lua: %s\n", lua_tostring(L, -1));
        (void)remove(argv[1]); /* Half a file must not look like a new one. */
    }
    lua_close(L);
    return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
