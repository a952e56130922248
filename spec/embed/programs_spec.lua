-- The programs of docs/embedding.md, built against what is staged.
local helper = require "spec.helper"
local stage = require "spec.embed.stage"

local VALGRIND = "valgrind -q --leak-check=full --fair-sched=yes --error-exitcode=99 "
  .. "--show-leak-kinds=definite --errors-for-leak-kinds=definite "

-- What the clients of the server do: $1 is its path.
local CLIENTS = [[
  local unix = require "socket.unix"
  local function connect()
    for _ = 1, 600 do
      local client = (unix.stream or unix)()
      client:settimeout(20)
      if client:connect(arg[1]) then return client end
      require "socket".sleep(0.02)
    end
    error "the server is not there"
  end
  local slow, quick = connect(), connect()
  slow:send("(function() local n = 0 for i = 1, 3000000 do n = n + i end return n end)()\n")
  quick:send("1 + 1\n")
  print((quick:receive()))
  print((slow:receive()))
  slow:send("error('oh', 0)\n")
  print((slow:receive()))
  slow:send("1 +\n")
  print((slow:receive():match("^an error was raised: line:1:")))
  slow:send("quit\n")
]]

-- What stands around the example of shared objects in docs/embedding.md.
local AROUND = [[
#include <lauxlib.h>
#include <lpool.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    lpool_config config;
    lpool_executor_config options;
    lpool_executor *executor;
    lpool_future *future;
    lpool *host;
    lpool_config_init(&config);
    lpool_config_lua(&config);
    int code = lpool_helper_main(argc, argv, &config);
    if (code >= 0) return code;
    if (lpool_open(&config, &host)) return 1;
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lpool_openlibs(L);
    lpool_attach(host, L);
    lpool_executor_config_init(&options);
    options.kind = LPOOL_PROCESSES;
    if (lpool_executor_open(L, &options, &executor)) return 1;
    %s
    lpool_future_release(future);
    lpool_executor_release(executor);
    lua_close(L);
    return lpool_close(host);
}
]]

-- The first example in C under a heading of docs/embedding.md.
local function example(heading)
  local file <close> = assert(io.open("docs/embedding.md"))
  local text = file:read("a")
  local _, first = assert(text:find("\n## " .. heading .. "\n", 1, true))
  return text:match("```c\n(.-)\n```", first)
end

describe("hosts in C:", function()
  local missing = stage.missing()
  local runners = { ["as they are"] = "", ["under valgrind"] = VALGRIND }
  local programs = {}
  local has_valgrind = os.execute("command -v valgrind >/dev/null")

  -- A program of this folder, built when it is first wanted.
  local function program(name, flags)
    local path = programs[name] or ("%s/spec-%s"):format(stage.folder, name)
    if not programs[name] then
      os.rename(stage.build(("spec/embed/%s.c"):format(name), flags), path)
      os.execute(("test -x %s || chmod +x %s"):format(path, path))
      programs[name] = path
    end
    return path
  end

  for how, runner in pairs(runners) do
    local function test(name, body)
      it(name .. ", " .. how, function()
        if missing then
          pending(missing)
        elseif runner ~= "" and (stage.is_sanitized or not has_valgrind) then
          pending("valgrind is not there, or not of use")
        end
        helper.limit(90)
        body()
      end)
    end

    -- Under valgrind /proc/self/exe is valgrind, so the helper is named.
    local function run(name)
      local path = program(name)
      return stage.shell(("export LPOOL_HELPER=%s; exec %s %s %s"):format(
        runner == "" and "" or path, runner, path, runner == "" and "" or "quick"), { limit = 60 })
    end

    local function prints(expected, name)
      local result = run(name)
      assert.are.equal("", result.err)
      assert.are.equal(expected, result.out)
      assert.are.equal(0, result.code)
    end

    test("thirty lines compute squares", function()
      prints("0\n1\n4\n9\n16\n25\n36\n49\n64\n81\n", "thirty")
    end)

    test("a game polls its futures in each frame", function()
      local result = run("game")
      local lines = {}
      for line in result.out:gmatch("[^\n]+") do
        lines[#lines + 1] = line
      end
      assert.are.equal("over", table.remove(lines), result.err)
      table.sort(lines)
      assert.are.same({ "chunk: 486", "chunk: 502", "chunk: 518", "chunk: 534", "path: 592" },
        lines)
      assert.are.equal("", result.err)
      assert.are.equal(0, result.code)
    end)

    test("a server on libuv never blocks", function()
      if not os.execute("pkg-config --exists libuv") then
        pending("libuv is not there")
      end
      local server = program("server", "-D_GNU_SOURCE $(pkg-config --cflags --libs libuv)")
      local clients = helper.temporary.file(CLIENTS)
      local result = stage.shell(([[
        socket=$(mktemp -u)
        timeout 50 %s %s $socket & server=$!
        timeout 40 lua5.4 %s $socket || kill $server
        wait $server; echo "code $?"; rm -f $socket]]):format(runner, server, clients),
        { limit = 60 })
      assert.are.equal("", result.err)
      local expected = "listening\n2\n4500001500000\noh\nan error was raised: line:1:\ncode 0\n"
      assert.are.equal(expected, result.out)
    end)

    test("the functions for C do what the header says", function()
      prints("fine\n", "calls")
    end)

    test("a kind of worker of one's own", function()
      prints("fine\n", "kinds")
    end)

    test("shared objects in C, and in tasks of threads and processes", function()
      prints("fine\n", "objects")
    end)

    test("an allocator of one's own", function()
      prints("fine\n", "memory")
    end)
  end

  it("the example of shared objects in docs/embedding.md", function()
    if missing then
      pending(missing)
    end
    local built = stage.compile(AROUND:format(example("Shared objects")))
    local result = stage.shell("exec " .. built, { limit = 60 })
    assert.are.equal("", result.err)
    assert.are.equal("part 1\npart 2\npart 3\n", result.out)
    assert.are.equal(0, result.code)
  end)
end)
