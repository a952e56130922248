-- Where the time of one task goes: samples of perf by layer, and instructions
-- counted by callgrind by step. Writes JSON lines; what is not on the machine
-- is left out with a line that says so.
--
--     lpool bench/account.lua <file>

package.path = "bench/?.lua;" .. package.path
local harness = require "harness"
local json = require "json"
local program = require "program"

local PERF_DATA = "build/bench/perf.data"
local CALLGRIND = "build/bench/callgrind.out"

local function has(command)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(command))
end

-- ---- by layer: perf ----

-- Which file defines a function of the program: name -> folder of runtime/.
local function layers()
  local folder = {}
  local pipe <close> = assert(io.popen(("nm -l --defined-only %s"):format(program)))
  for line in pipe:lines() do
    local name, layer = line:match("^%x+ [tTwW] (%S+)\t.*/runtime/(%w+)/")
    if name then
      folder[name:gsub("%..*", "")] = layer
    end
  end
  return folder
end

-- In this order: the first pattern that is found in "symbol dso" decides.
local ELSEWHERE = {
  { "kernel%.kallsyms", "kernel: page faults, wake-ups" },
  { "vdso", "clock" },
  { "malloc", "malloc and free" },
  { "free", "malloc and free" },
  { "realloc", "malloc and free" },
  { "unlink_chunk", "malloc and free" },
  { "mutex", "locks" },
  { "libc%.so", "libc: copies and compares" },
}

local function layer_of(symbol, object, folder)
  local layer = folder[symbol:gsub("%..*", "")]
  if layer and object:find("lpool", 1, true) then
    return layer
  end
  local both = symbol .. " " .. object
  for _, place in ipairs(ELSEWHERE) do
    if both:find(place[1]) then
      return place[2]
    end
  end
  return "Lua"
end

-- Samples by thread ("caller" or "workers") and layer.
local function samples(kind)
  local counts, totals = { caller = {}, workers = {} }, { caller = 0, workers = 0 }
  local folder = layers()
  assert(os.execute(("perf record -q -F 9973 -e cpu-clock -o %s %s bench/work/account.lua %s 21 "
    .. ">%s.txt 2>/dev/null"):format(PERF_DATA, program, kind, PERF_DATA)))
  local pipe <close> = assert(io.popen(("perf script -i %s -F comm,ip,sym,dso 2>/dev/null")
    :format(PERF_DATA)))
  for line in pipe:lines() do
    local comm, symbol, object = line:match("^%s*(.-)%s+%x+ (%S+).* %((.-)%)$")
    local who = comm == "lpool" and "caller" or comm and comm:find("Pool") and "workers"
    if who then
      local layer = layer_of(symbol, object, folder)
      counts[who][layer] = (counts[who][layer] or 0) + 1
      totals[who] = totals[who] + 1
    end
  end
  return counts, totals
end

local function account_by_layer(file, kind)
  local measured = {}
  local counts, totals = samples(kind)
  for line in io.lines(PERF_DATA .. ".txt") do
    local key, value = line:match("([%w_]+)%s+(.+)")
    measured[key] = tonumber(value)
  end
  for who, cpu in pairs { caller = measured.caller_cpu_ns, workers = measured.worker_cpu_ns } do
    for layer, count in pairs(counts[who]) do
      file:write(json.encode {
        account = "layer", kind = kind, who = who, layer = layer,
        share = count / totals[who], ns = count / totals[who] * cpu, samples = totals[who],
      }, "\n")
    end
  end
end

-- ---- by step: callgrind ----

-- Who, depth, function, what it is for. gcc may make a function part of those
-- that call it: then the step is left out, and that is said.
local STEPS = {
  { "caller", 0, "PROGRAM TOTALS", "all that the caller does" },
  { "caller", 1, "executor_submit", "`ex:submit`, from the Lua call to its return" },
  { "caller", 2, "lp_box_test", "is it ours? In `submit` and in `result`" },
  { "caller", 2, "lp_caller_enter_for", "what belongs to this Lua state. In both" },
  { "caller", 2, "lp_caller_origin", "the origin, for reports" },
  { "caller", 2, "lp_caller_encode", "function and arguments to bytes" },
  { "caller", 2, "lp_executor_submit", "a new task, into the queue" },
  { "caller", 2, "lua_newuserdatauv", "the future's userdata" },
  { "caller", 1, "future_result", "`future:result()` of a task that is done" },
  { "caller", 2, "lpool_future_push", "bytes to values" },
  { "caller", 1, "let_go", "the end of a future, when Lua frees its userdata" },
  { "caller", 1, "lp_task_pile_free", "tasks go back, many at a time" },
  { "workers", 0, "PROGRAM TOTALS", "all that the workers do" },
  { "workers", 1, "run_task", "run one task and complete it" },
  { "workers", 2, "lua_pcallk", "the protected call, with all in it" },
  { "workers", 3, "lp_plain_decode", "bytes to function and arguments" },
  { "workers", 3, "lp_plain_encode", "results to bytes" },
}

local FEW, MANY, TASKS = 4, 24, 2000 -- rounds: what both have in common cancels out

-- Adds what callgrind says of one thread, callees included, by function.
local function add_instructions(path, found)
  local seen = {}
  local pipe <close> = assert(io.popen(("callgrind_annotate --inclusive=yes --threshold=99.9 "
    .. "--auto=no %s 2>/dev/null"):format(path)))
  for line in pipe:lines() do
    local count, name = line:match("^%s*([%d,]+) .*:([%w_]+)%S*%s*%[?")
    if not name then
      count, name = line:match("^%s*([%d,]+) .*(PROGRAM TOTALS)")
    end
    if name and not seen[name] then -- the first is the whole; others are recursions
      seen[name] = true
      found[name] = (found[name] or 0) + tonumber((count:gsub(",", "")))
    end
  end
end

local function instructions(rounds)
  local found = { caller = {}, workers = {} }
  os.execute(("rm -f %s*"):format(CALLGRIND))
  assert(os.execute(("valgrind -q --tool=callgrind --separate-threads=yes "
    .. "--callgrind-out-file=%s %s bench/work/account.lua thread %d %d >/dev/null 2>&1")
    :format(CALLGRIND, program, rounds, TASKS)))
  for thread, who in ipairs { "caller", "workers", "workers" } do
    add_instructions(("%s-%02d"):format(CALLGRIND, thread), found[who])
  end
  return found
end

local function account_by_step(file)
  local few, many = instructions(FEW), instructions(MANY)
  for order, step in ipairs(STEPS) do
    local who, depth, name, text = table.unpack(step)
    local more = (many[who][name] or 0) - (few[who][name] or 0)
    if more > 0 then
      file:write(json.encode {
        account = "step", order = order, who = who, depth = depth, name = name, text = text,
        instructions = math.floor(more / (MANY - FEW) / TASKS + 0.5),
      }, "\n")
    else
      print(("account: left out: %s, which is not there, or part of its callers"):format(name))
    end
  end
end

local file <close> = assert(io.open(arg[1], "w"))
file:write(json.encode { origin = harness.origin {} }, "\n")
if has "perf" then
  account_by_layer(file, "thread")
  account_by_layer(file, "process")
else
  print("account: perf is not on this machine; no times by layer")
end
if has "callgrind_annotate" then
  account_by_step(file)
else
  print("account: valgrind is not on this machine; no instructions by step")
end
