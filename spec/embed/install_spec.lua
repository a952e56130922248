-- What make install puts where, and that it is all one needs.
local helper = require "spec.helper"
local stage = require "spec.embed.stage"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- The lines that a command puts out; it must succeed in silence otherwise.
local function lines_of(command, options)
  local result = stage.shell(command, options)
  assert.are.equal("", result.err)
  assert.are.equal(0, result.code, result.out)
  local lines = {}
  for line in result.out:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

-- What the address sanitizer adds to the names of a library.
local function is_sanitizers(name)
  return stage.is_sanitized and name:find("^__") ~= nil
end

local function has(command)
  return os.execute("command -v " .. command .. " >/dev/null 2>&1")
end

local missing = stage.missing()

-- A test that needs what was installed.
local function test(name, body)
  it(name, function()
    if missing then
      pending(missing)
    end
    body()
  end)
end

describe("installed:", function()
  test("the header stands alone, in C11 and in C++17", function()
    local as_cxx = has("c++") and "c++ -std=c++17 -x c++" or "true"
    for _, compiler in ipairs { "cc -std=c11 -x c", as_cxx } do
      lines_of(("echo '#include <lpool.h>' | %s -Wall -Wextra -Wpedantic -Werror "
        .. "-fsyntax-only $(pkg-config --cflags lpool) -"):format(compiler))
    end
  end)

  test("the shared library exports what begins with lpool_ and the module's opener", function()
    local names = lines_of("nm -D --defined-only $P/lib/liblpool.so | awk '{ print $3 }'")
    assert.is_true(#names > 50)
    for _, name in ipairs(names) do
      assert.is_truthy(name:find("^lpool_") or name == "luaopen_lpool_core" or is_sanitizers(name),
        name)
    end
  end)

  test("the static library has no name that is not lpool's", function()
    local command = "nm -g --defined-only $P/lib/liblpool.a | awk 'NF == 3 { print $3 }'"
    for _, name in ipairs(lines_of(command)) do
      assert.is_truthy(name:find("^lp_") or name:find("^lpool_") or name:find("^luaopen_")
        or is_sanitizers(name), name)
    end
  end)

  test("the static library is for all compilers, and shows what lpool.h declares", function()
    assert.are.same({ "0" },
      lines_of("readelf -SW $P/lib/liblpool.a | grep -c gnu.lto || true"))
    if lines_of("ar t $P/lib/liblpool.a")[1] ~= "whole.o" then return end
    local command = "nm -g --defined-only $P/lib/liblpool.a | awk 'NF == 3 { print $3 }'"
    for _, name in ipairs(lines_of(command)) do
      assert.is_truthy(name:find("^lpool_") or name == "luaopen_lpool_core", name)
    end
  end)

  test("the module for stock Lua exports its opener", function()
    assert.are.same({ "luaopen_lpool_core" },
      lines_of("nm -D --defined-only $P/lib/lua/5.4/lpool/core.so | awk '{ print $3 }'"))
  end)

  test("the libraries have no Lua in them, nor bring one along", function()
    for _, name in ipairs { "liblpool.so", "lua/5.4/lpool/core.so" } do
      local needed = lines_of("readelf -dW $P/lib/" .. name)
      helper.lacks("[liblua", table.concat(needed))
      local command = "nm -D --defined-only $P/lib/%s | grep ' lua_' || true"
      assert.are.same({}, lines_of(command:format(name)))
    end
  end)

  test("the soname carries the major version", function()
    local dynamic = table.concat(lines_of("readelf -dW $P/lib/liblpool.so"), "\n")
    local major, version = lines_of("pkg-config --modversion lpool")[1]:match("^((%d+)%.%d+%.%d+)$")
    major, version = version, major
    helper.contains("Library soname: [liblpool.so." .. major .. "]", dynamic)
    assert.are.equal(stage.prefix .. "/lib/liblpool.so." .. version,
      lines_of("realpath $P/lib/liblpool.so")[1])
  end)

  test("pkg-config's flags are all that a host needs", function()
    local program = stage.compile [[
      #include <lpool.h>
      #include <stdio.h>
      int main(void)
      {
          lpool_config config;
          lpool *host;
          lpool_config_init(&config);
          int status = lpool_open(&config, &host);
          puts(lpool_strerror(status));
          lpool_close(host);
          return 0;
      }
    ]]
    assert.are.same({ "success" }, lines_of("exec " .. program))
  end)

  test("pkg-config --static says what the static library needs", function()
    if stage.is_sanitized then
      pending("the linker would need the sanitizer, too")
    end
    local version = lines_of("pkg-config --modversion lpool")
    assert.are.same(version, lines_of [[
      program=$(mktemp)
      echo '#include <lpool.h>
      #include <stdio.h>
      int main(void) { lpool_config_init(0); return puts(lpool_version()) < 0; }' |
        cc -x c -o $program - $(pkg-config --static --cflags --libs lpool |
          sed s/-llpool/-l:liblpool.a/)
      ldd $program | grep lpool
      $program
      rm $program]])
  end)

  test("the manual pages are well formed", function()
    if not has("groff") then
      pending("groff is not there")
    end
    for _, page in ipairs { "man1/lpool.1", "man3/lpool.3" } do
      lines_of("groff -man -Tutf8 -wall -z $P/share/man/" .. page)
    end
  end)

  test("lpool(3) has every function, status and field of the header", function()
    local page = read(stage.prefix .. "/share/man/man3/lpool.3"):gsub("\\%-", "-")
    local header = read(stage.prefix .. "/include/lpool.h")
    for name in header:gmatch("%f[%w_](lpool_[%w_]+)%(") do
      assert(page:find(name, 1, true), name .. " is not in docs/lpool.3")
    end
    for name in header:gmatch("#define (LPOOL_E%u+) +%(") do
      assert(page:find(name, 1, true), name .. " is not in docs/lpool.3")
    end
  end)

  test("uninstall removes what install has installed", function()
    local folder = os.tmpname()
    os.remove(folder)
    local left = lines_of(([[
      make -s SANITIZE=$LPOOL_SANITIZE install DESTDIR=%s
      cd %s && find . -type f -o -type l | wc -l
      cd "$OLDPWD" && make -s uninstall DESTDIR=%s
      find %s ! -type d; rm -r %s]]):format(folder, folder, folder, folder, folder))
    assert.are.equal(1, #left, table.concat(left, "\n"))
    assert.is_true(tonumber(left[1]) > 10)
  end)

  test("make dist packs what is committed", function()
    if not os.execute("git rev-parse HEAD >/dev/null 2>&1") then
      pending("not a clone")
    end
    local packed = lines_of([[
      file=$(mktemp) && make -s dist DIST=$file.tar.gz
      tar tzf $file.tar.gz | grep -v '/$' | sort
      rm -f $file $file.tar.gz]])
    local version = lines_of("pkg-config --modversion lpool")[1]
    local known = "git ls-tree -r --name-only HEAD | sed s,^,lpool-%s/, | sort"
    assert.are.same(lines_of(known:format(version)), packed)
  end)
end)

describe("stock Lua:", function()
  test("has every kind of executor, the helper of process pools included", function()
    assert.are.same({ "thread 42", "process 42", "serial 42" }, lines_of [[
      exec $LUA -e '
        local lpool = require "lpool"
        for _, kind in ipairs { "Thread", "Process" } do
          local ex <close> = lpool[kind .. "PoolExecutor"](2)
          print(ex:submit(function(n)
            return lpool.worker().kind .. " " .. n + 1
          end, 41):result())
        end
        local ex <close> = lpool.SerialExecutor()
        print(ex:submit(function() return "serial 42" end):result())
      ']])
  end)

  test("says which helper it looked for", function()
    local result = stage.shell [[
      LPOOL_HELPER=/nowhere/lpool exec $LUA -e 'require "lpool".ProcessPoolExecutor(1)']]
    helper.contains("'/nowhere/lpool' (from LPOOL_HELPER) cannot be run", result.err)
  end)

  test("says where it looked for a helper if there is none", function()
    local result = stage.shell [[
      folder=$(mktemp -d) && mkdir $folder/lpool && cp $P/lib/lua/5.4/lpool/core.so $folder/lpool
      LUA_CPATH="$folder/?.so" $LUA -e 'require "lpool".ProcessPoolExecutor(1)'
      rm -r $folder]]
    helper.contains("there is no '/usr/local/bin/lpool', and none beside '/", result.err)
    helper.contains("set LPOOL_HELPER", result.err)
  end)

  test("says so when the helper is some other program", function()
    local result = stage.shell [[
      LPOOL_HELPER=/bin/true exec timeout 10 $LUA -e '
        local ex <close> = require "lpool".ProcessPoolExecutor(1)
        ex:submit(math.max, 1):result()']]
    helper.contains("the helper program is not lpool's", result.err)
  end)

  test("closes states with work in them, many times", function()
    -- A coroutine that holds an executor, and a state that ends early.
    local result = lines_of [[
      for i in 1 2 3; do
        $LUA -e '
          local lpool = require "lpool"
          local go = coroutine.wrap(function()
            local ex = lpool.ThreadPoolExecutor(2)
            local f = ex:submit(function() return "fine" end)
            coroutine.yield(f:result())
            ex:submit(lpool.sleep, 1000)
          end)
          print(go())
          os.exit(0, true)'
      done]]
    assert.are.same({ "fine", "fine", "fine" }, result)
  end)

  test("runs the specs: some of them here, all with make test-stock", function()
    if stage.is_thread_sanitized then
      pending("the shells that the specs run would have the sanitizer, too, and end by SIGPIPE")
    end
    local result = stage.shell([[
      LPOOL_PROGRAM=lua5.4 exec $LUA spec/run.lua --lpath= -o TAP --exclude-tags=program \
        --filter='submit: ' --filter='errors: ' --filter='serial: programs: ' \
        spec/thread_spec.lua spec/process_spec.lua spec/serial_spec.lua]], { limit = 60 })
    local _, good = ("\n" .. result.out):gsub("\nok ", "")
    assert.are.equal(0, result.code, result.out .. result.err)
    assert.is_true(good > 100, result.out)
  end)

  test("gets lpool from luarocks", function()
    if not has("luarocks") then
      pending("luarocks is not there")
    end
    assert.are.same({ "42" }, lines_of([[
      tree=$(mktemp -d)
      luarocks --lua-version 5.4 make --tree=$tree lpool-scm-1.rockspec >$tree.log 2>&1 ||
        cat $tree.log
      cd / && LUA_PATH="$tree/share/lua/5.4/?.lua;$tree/share/lua/5.4/?/init.lua" \
        LUA_CPATH="$tree/lib/lua/5.4/?.so" lua5.4 -e '
        local ex <close> = require "lpool".ProcessPoolExecutor(1)
        print(ex:submit(math.max, 42):result())'
      rm -r $tree $tree.log]], { limit = 60 }))
  end)
end)
