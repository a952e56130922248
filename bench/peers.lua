--- Who is measured, and how each is called: lpool first, then its rivals.
--
-- * `name`, `title` in JSON lines and in tables
-- * `needs` a shell command that succeeds if the peer is on this machine
-- * `version` a shell command that prints it
-- * `work` the programs it has, by kind of pool: bench/work/<name>.lua or
--   what `command` makes of the name
-- * `empty`, `first` shell commands for the row "start": a program that does
--   nothing, and one with a pool of two that runs one task
local lpool_program = require "program"

local function set(names)
  local members = {}
  for name in names:gmatch("%S+") do
    members[name] = true
  end
  return members
end

local EVERYTHING = setmetatable({}, { __index = function() return true end })

local peers = {
  {
    name = "lpool",
    title = "lpool",
    needs = "true",
    version = lpool_program .. " --version",
    work = { thread = EVERYTHING, process = EVERYTHING },
    command = lpool_program .. " bench/work/%s.lua %s",
    empty = lpool_program .. " -e ''",
    first = lpool_program .. " bench/work/pool.lua %s first",
  },
  {
    name = "cpython",
    title = "CPython",
    needs = "command -v python3",
    version = "python3 --version",
    work = {
      thread = set("tasks round_trip map records long_string arithmetic start idle_worker "
        .. "pending_future sleepers stopping idle"),
      process = set("tasks round_trip map records long_string arithmetic start pool idle_process "
        .. "pending_future stopping idle"),
    },
    command = "python3 bench/peers/%s.py %s",
    empty = "python3 -c ''",
    first = "python3 bench/peers/pool.py %s first",
  },
  {
    name = "multiprocessing",
    title = "multiprocessing.Pool",
    needs = "command -v python3",
    version = "python3 --version",
    work = {
      thread = {},
      process = set("tasks round_trip map records long_string arithmetic start pool idle_process "
        .. "idle"),
    },
    command = "python3 bench/peers/multiprocessing_pool.py %s",
    empty = "python3 -c ''",
    first = "python3 bench/peers/multiprocessing_pool.py first",
  },
  {
    name = "piscina",
    title = "piscina",
    needs = "command -v node && test -d build/bench/node_modules/piscina",
    version = "echo Node $(node --version), piscina $(sed -n "
      .. [['s/.*"version": *"\([^"]*\)".*/\1/p' build/bench/node_modules/piscina/package.json)]],
    work = {
      thread = set("tasks round_trip map records long_string arithmetic start pool idle_worker "
        .. "pending_future idle"),
      process = {},
    },
    command = "env NODE_PATH=build/bench/node_modules node --expose-gc bench/peers/piscina.js %s",
    empty = "node -e ''",
    first = "env NODE_PATH=build/bench/node_modules node bench/peers/piscina.js first",
  },
  {
    name = "go",
    title = "Go",
    needs = "test -x build/bench/channels",
    version = "go version",
    work = {
      thread = set("tasks round_trip map arithmetic start pool idle_worker pending_future sleepers "
        .. "idle"),
      process = {},
    },
    command = "build/bench/channels %s",
    empty = "build/bench/channels empty",
    first = "build/bench/channels first",
  },
  {
    name = "luv",
    title = "lua-luv",
    needs = [[lua5.4 -e 'require "luv"']],
    version = [[lua5.4 -e 'print("luv, libuv " .. require("luv").version_string())']],
    work = {
      thread = set "tasks round_trip map long_string arithmetic start pending_future sleepers idle",
      process = {},
    },
    command = "env UV_THREADPOOL_SIZE=2 lua5.4 bench/peers/new_work.lua %s",
    empty = "lua5.4 -e ''",
    first = "env UV_THREADPOOL_SIZE=2 lua5.4 bench/peers/new_work.lua first",
  },
  {
    name = "floor",
    title = "C floor",
    needs = "test -x build/bench/floor",
    version = "cc --version | head -n 1",
    work = {
      thread = set("tasks round_trip wake records long_string arithmetic start pool idle_worker "
        .. "sleepers"),
      process = set "tasks round_trip wake records long_string arithmetic start pool sleepers",
    },
    command = "build/bench/floor %s %s",
    empty = "build/bench/floor empty",
    first = "build/bench/floor first %s",
  },
}

for _, peer in ipairs(peers) do
  peers[peer.name] = peer
end

--- The peers with these names, in the order of the list.
-- @tparam table names name -> true
-- @treturn {table,...} those on this machine
-- @treturn {string,...} the titles of those that are not
function peers.found(names)
  local here, missing = {}, {}
  for _, peer in ipairs(peers) do
    if names[peer.name] then
      local ok = os.execute(("{ %s; } >/dev/null 2>&1"):format(peer.needs))
      table.insert(ok and here or missing, ok and peer or peer.title)
    end
  end
  return here, missing
end

--- How a peer is measured: a shell command, or nil if it has no such row.
function peers.command(peer, work, kind)
  if not peer.work[kind][work] or (work == "wake" and peer.name == "lpool") then
    return nil
  elseif work == "start" then
    return ("%s bench/work/start.lua %s %q %q"):format(lpool_program, kind, peer.empty,
      peer.first:format(kind))
  elseif work == "sleepers" and peer.name == "luv" then -- a worker for each
    return "env UV_THREADPOOL_SIZE=1000 lua5.4 bench/peers/new_work.lua sleepers"
  end
  return peer.command:format(work, kind)
end

return peers
