--- A program for a debug build that dies at LPOOL_TEST_DIE: it uses two workers
-- in all ways and checks that each task and item ends once, and at most one of
-- each executor is lost. Puts out "ok", how many were lost, and its own pid.
local lpool = require "lpool"

local SUBMITS = tonumber((...)) or 2000
local ITEMS = tonumber((select(2, ...))) or 20000

local lost_at_all = 0

local function double(n)
  return 2 * n
end

local function check(condition, ...)
  if not condition then
    error(table.concat({ ... }, " "), 2)
  end
end

-- Counts one end that may be a loss.
local function count(losses, ok, value, wanted, what)
  if ok then
    check(value == wanted, what, "gave", tostring(value), "for", tostring(wanted))
    return
  end
  check(lpool.is(value, "WorkerLostError"), what, "failed:", tostring(value))
  check(math.type(value.pid) == "integer" and value.signal == "SIGKILL", tostring(value))
  losses[#losses + 1] = value.message
end

local function check_losses(losses, what)
  check(#losses <= 1, what, "lost", #losses, ":", table.concat(losses, "; "))
  lost_at_all = lost_at_all + #losses
end

local function submits(n)
  local losses = {}
  local ended = 0
  do
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local futures = {}
    for i = 1, n do
      futures[i] = ex:submit(double, i)
      futures[i]:add_done_callback(function()
        ended = ended + 1
      end)
    end
    for i = 1, n do
      local ok, value = pcall(futures[i].result, futures[i], 20)
      count(losses, ok, value, 2 * i, "submit " .. i)
    end
    lpool.poll()
  end
  check(ended == n, "submits:", ended, "callbacks of", n)
  check_losses(losses, "submits")
end

-- One task after the other, so that workers sleep in between.
local function round_trips(n)
  local losses = {}
  do
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for i = 1, n do
      local ok, value = pcall(function()
        return ex:submit(double, i):result(20)
      end)
      count(losses, ok, value, 2 * i, "round trip " .. i)
    end
  end
  check_losses(losses, "round trips")
end

local function map(what, n, options)
  local losses, seen = {}, {}
  local total = 0
  do
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local results = ex:map(double, lpool.range(1, n), options)
    local unordered = options and options.ordered == false
    local last = 0
    while true do
      local ok, i, value = pcall(results)
      if ok and i == nil then
        break
      end
      total = total + 1
      if ok then
        check(not seen[i], what, "gave item", i, "twice")
        check(unordered or i > last, what, "item", i, "after", last)
        seen[i], last = true, i
        check(value == 2 * i, what, "item", i, "is", tostring(value))
      else
        count(losses, false, i, nil, what)
      end
    end
  end
  check(total == n, what, total, "items ended of", n)
  check_losses(losses, what)
end

-- Items that are slow enough for one worker to take from the other.
local function uneven_map(n)
  local losses = {}
  local total = 0
  do
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local results = ex:map(function(i)
      local sum = 0
      for k = 1, i % 50 == 0 and 200000 or 50 do
        sum = sum + k
      end
      return i, sum > 0
    end, lpool.range(1, n))
    while true do
      local ok, i, value = pcall(results)
      if ok and i == nil then
        break
      end
      total = total + 1
      count(losses, ok, ok and value or i, i, "uneven map")
    end
  end
  check(total == n, "uneven map:", total, "items ended of", n)
  check_losses(losses, "uneven map")
end

local function broadcasts(n)
  local losses = {}
  do
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for i = 1, n do
      for _, f in ipairs(ex:broadcast(double, i)) do
        local ok, value = pcall(f.result, f, 20)
        count(losses, ok, value, 2 * i, "broadcast " .. i)
      end
    end
  end
  check_losses(losses, "broadcasts")
end

-- All that is queued when the executor closes.
local function closing(n)
  local losses = {}
  local futures = {}
  do
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for i = 1, n do
      futures[i] = ex:submit(double, i)
    end
  end
  for i = 1, n do
    check(futures[i]:done(), "task", i, "is", futures[i]:state(), "after closing")
    local ok, value = pcall(futures[i].result, futures[i], 0)
    count(losses, ok, value, 2 * i, "closing " .. i)
  end
  check_losses(losses, "closing")
end

-- Workers that are replaced all the time, and cancelled tasks in between.
local function recycling(n)
  local losses = {}
  local cancelled = 0
  local futures = {}
  do
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, max_tasks_per_child = 20 }
    for i = 1, n do
      futures[i] = ex:submit(double, i)
      if i % 3 == 0 and futures[i]:cancel() then
        cancelled = cancelled + 1
        futures[i] = false
      end
    end
  end
  for i = 1, n do
    if futures[i] then
      local ok, value = pcall(futures[i].result, futures[i], 0)
      count(losses, ok, value, 2 * i, "recycling " .. i)
    end
  end
  check_losses(losses, "recycling")
end

-- Tasks and maps of several priorities, some cancelled; no more pending than there may be.
local function priorities(n)
  local losses = {}
  do
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, max_queue = 40 }
    local futures, maps = {}, {}
    for i = 1, n do
      local view = ex:with { priority = i % 5 - 2 }
      futures[i] = view:submit(double, i)
      if i % 7 == 0 and futures[i]:cancel() then
        futures[i] = false
      elseif i % 100 == 0 then
        maps[#maps + 1] = view:map(double, lpool.range(1, 50))
      end
    end
    for i = 1, n do
      if futures[i] then
        local ok, value = pcall(futures[i].result, futures[i], 20)
        count(losses, ok, value, 2 * i, "prioritized submit " .. i)
      end
    end
    for _, results in ipairs(maps) do
      for item = 1, 50 do
        local ok, i, value = pcall(results)
        count(losses, ok, ok and value or i, 2 * item, "prioritized item " .. item)
      end
    end
  end
  check_losses(losses, "priorities")
end

local MOST <const> = 30

-- Whether the count of pending tasks is still right after the death.
local function limit(n)
  local losses = {}
  do
    local ex <close> = lpool.ProcessPoolExecutor {
      max_workers = 2,
      max_queue = MOST,
      on_full = "error",
    }
    local futures = {}
    local path = os.tmpname()
    os.remove(path)
    for i = 1, n do
      local ok, f
      repeat
        ok, f = pcall(ex.submit, ex, double, i)
        if not ok then
          check(lpool.is(f, "FullError"), "limit:", tostring(f))
          lpool.sleep(0.0001)
        end
      until ok
      futures[i] = f
    end
    for i = 1, n do
      local ok, value = pcall(futures[i].result, futures[i], 20)
      count(losses, ok, value, 2 * i, "limited submit " .. i)
    end
    local held = {}
    for i = 1, 2 do
      repeat -- the death may be still to come
        held[i] = ex:submit(function()
          local lp = require "lpool"
          while not io.open(path) do
            lp.sleep(0.001)
          end
        end)
        while not held[i]:running() and not held[i]:done() do
          lpool.sleep(0.001)
        end
      until held[i]:running()
    end
    local pending = 0
    while pcall(ex.submit, ex, double, 1) do
      pending = pending + 1
    end
    io.open(path, "w"):close()
    for i = 1, 2 do
      pcall(held[i].result, held[i])
    end
    os.remove(path)
    check(pending == MOST, "limit:", pending, "tasks could be pending and not", MOST)
  end
  check_losses(losses, "limit")
end

submits(SUBMITS)
round_trips(SUBMITS // 20)
map("map", ITEMS)
map("map by 7", ITEMS, { chunksize = 7 })
map("map by 1", ITEMS // 10, { chunksize = 1 })
map("unordered map", ITEMS, { ordered = false })
map("lazy map", ITEMS // 10, { buffersize = 50 })
uneven_map(ITEMS // 10)
broadcasts(50)
closing(SUBMITS)
recycling(SUBMITS // 10)
priorities(SUBMITS)
limit(SUBMITS)
print(("ok %d %d"):format(lost_at_all, lpool.getpid()))
