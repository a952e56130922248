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
print(("ok %d %d"):format(lost_at_all, lpool.getpid()))
