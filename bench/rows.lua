--- What is measured: the rows of the tables.
--
-- * `work` the measurement: bench/work/<work>.lua, and what peers have of it
-- * `key` which of the numbers that it prints
-- * `better` whether "more" or "less" of it is better
-- * the targets: `times` (so many times better than a peer), `at_least`,
--   `at_most`
-- * `digits` behind the point
--
-- Below they are sorted by the kind of pool; the list that is returned has
-- that as `kind`.
local rows = {}

local function speed(name, work, key, targets)
  targets = targets or {}
  targets.name, targets.work, targets.key = name, work, key
  targets.better, targets.digits = "more", 0
  targets.unit = key:find("items") and "items/s" or "tasks/s"
  return targets
end

local function span(name, work, key, unit, digits, targets)
  targets = targets or {}
  targets.name, targets.work, targets.key = name, work, key
  targets.better, targets.digits, targets.unit = "less", digits, unit
  return targets
end

local function gain(name, work, key, targets)
  targets = targets or {}
  targets.name, targets.work, targets.key = name, work, key
  targets.better, targets.digits, targets.unit = "more", 2, "times"
  return targets
end

rows.thread = {
  speed("no-op tasks: submit each, take each", "tasks", "tasks_per_second",
    { times = { cpython = 50, piscina = 40, luv = 3, go = 0.8 } }),
  speed("the same, a program's first, in fresh memory", "tasks", "first_tasks_per_second"),

  speed("map over 1,000,000 integers, a list", "map", "list_items_per_second",
    { at_least = 15e6, times = { cpython = 200 } }),
  speed("map over 1,000,000 integers, a range", "map", "range_items_per_second",
    { at_least = 15e6, times = { cpython = 200 } }),

  span("round trip, p50", "round_trip", "p50_us", "us", 2, { times = { cpython = 2.5 } }),
  span("round trip, p99", "round_trip", "p99_us", "us", 2, { times = { cpython = 2.5 } }),
  span("round trip, processor per wall time", "round_trip", "cpu_per_wall", "", 2,
    { at_most = 1.2 }),
  span("two threads that only wake each other, p50", "wake", "p50_us", "us", 2),

  span("10,000 records there and back", "records", "ms", "ms", 2, { at_most = 5 }),
  span("a 16 MiB string there and back", "long_string", "ms", "ms", 2, { at_most = 3 }),

  gain("8 tasks of arithmetic, 2 workers for 1", "arithmetic", "speedup", { at_least = 1.9 }),
  gain("what 2 processes of lua5.4 reach now", "arithmetic", "machine"),

  span("start of a program", "start", "empty_ms", "ms", 2),
  span("the same, times lua5.4's", "start", "empty_times_lua", "times", 2, { at_most = 2 }),
  span("start, pool of 2, one task, end", "start", "first_ms", "ms", 2),
  span("the same, times lua5.4's start", "start", "first_times_lua", "times", 2, { at_most = 3 }),
  span("pool of 2, one task, close: the next", "pool", "next_ms", "ms", 3),

  span("one idle worker, resident", "idle_worker", "kib", "KiB", 1, { at_most = 50 }),
  span("one idle worker, start", "idle_worker", "us", "us", 1, { at_most = 80 }),
  span("one pending future", "pending_future", "bytes", "bytes", 0, { at_most = 300 }),
  span("2,000 sleepers of 50 ms, 1,000 workers", "sleepers", "seconds", "s", 3,
    { at_most = 0.15 }),
  span("the same, resident at most", "sleepers", "mib", "MiB", 1, { at_most = 60 }),
  span("two idle workers, processor time", "idle", "idle_us_per_s", "us/s", 0, { at_most = 0 }),

  span("cancelling 10,000 pending tasks", "stopping", "cancel_ms", "ms", 2, { at_most = 5 }),
  span("a busy loop past its timeout, p50", "stopping", "timeout_p50_ms", "ms", 2,
    { at_most = 20 }),
  span("a busy loop past its timeout, most of 50", "stopping", "timeout_max_ms", "ms", 2,
    { at_most = 20 }),
  span("an interrupt, to the end of the task, p50", "stopping", "interrupt_p50_ms", "ms", 2),
  span("an interrupt, to the end, most of 50", "stopping", "interrupt_max_ms", "ms", 2),
}

rows.process = {
  speed("no-op tasks: submit each, take each", "tasks", "tasks_per_second",
    { times = { cpython = 150 } }),
  speed("the same, a program's first, in fresh memory", "tasks", "first_tasks_per_second"),

  speed("map over 1,000,000 integers, a list", "map", "list_items_per_second",
    { times = { cpython = 4 } }),
  speed("map over 1,000,000 integers, a range", "map", "range_items_per_second",
    { times = { cpython = 4 } }),

  span("round trip, p50", "round_trip", "p50_us", "us", 2, { times = { cpython = 5 } }),
  span("round trip, p99", "round_trip", "p99_us", "us", 2, { times = { cpython = 5 } }),
  span("round trip, processor per wall time", "round_trip", "cpu_per_wall", "", 2),
  span("two processes that only wake each other, p50", "wake", "p50_us", "us", 2),

  span("10,000 records there and back", "records", "ms", "ms", 2, { times = { cpython = 1.2 } }),
  span("a 16 MiB string there and back", "long_string", "ms", "ms", 2,
    { times = { cpython = 4 } }),

  gain("8 tasks of arithmetic, 2 workers for 1", "arithmetic", "speedup", { at_least = 1.9 }),
  gain("what 2 processes of lua5.4 reach now", "arithmetic", "machine"),

  span("start, pool of 2, one task, end", "start", "first_ms", "ms", 2),
  span("pool of 2, one task, close: the first", "pool", "first_ms", "ms", 2, { at_most = 3 }),
  span("pool of 2, one task, close: the next", "pool", "next_ms", "ms", 2, { at_most = 1 }),

  span("start of one worker, to its first result", "idle_process", "one_us", "us", 0,
    { at_most = 300 }),
  span("start of 50 workers at once, each", "idle_process", "each_us", "us", 0),
  span("one idle worker, PSS", "idle_process", "pss_kib", "KiB", 0, { at_most = 200 }),
  span("one idle worker, private and dirty", "idle_process", "dirty_kib", "KiB", 0),
  span("one pending future", "pending_future", "bytes", "bytes", 0),
  span("2,000 sleepers of 50 ms, 1,000 workers", "sleepers", "seconds", "s", 3),
  span("two idle workers, processor time", "idle", "idle_us_per_s", "us/s", 0, { at_most = 0 }),
}

-- How the cost of one task grows: name in the key, title, the values of x.
local SERIES = {
  { "tasks", "cost of a task, after so many of them", { 1e3, 1e4, 1e5, 1e6, 1e7 } },
  { "workers", "cost of a task, with so many workers", { 1, 10, 100, 1000 } },
  { "pending", "cost of a task, with so many pending", { 1e3, 1e4, 1e5, 1e6 } },
  { "as_completed", "as_completed, each of so many", { 1e3, 1e4, 1e5, 1e6 } },
  { "wait", "wait, each of so many", { 1e3, 1e4, 1e5, 1e6 } },
}

local ACCOUNT = {
  { "submit: wall time", "submit_ns" },
  { "submit in fresh memory: wall time", "first_submit_ns" },
  { "result of a task that is done: wall time", "result_ns" },
  { "the caller's processor time", "caller_cpu_ns" },
  { "the workers' processor time", "worker_cpu_ns" },

  span("cancelling 10,000 pending tasks", "stopping", "cancel_ms", "ms", 2, { at_most = 5 }),
  span("a busy loop past its timeout, p50", "stopping", "timeout_p50_ms", "ms", 2,
    { at_most = 20 }),
  span("a busy loop past its timeout, most of 50", "stopping", "timeout_max_ms", "ms", 2,
    { at_most = 20 }),
  span("an interrupt, to the end of the task, p50", "stopping", "interrupt_p50_ms", "ms", 2),
  span("an interrupt, to the end, most of 50", "stopping", "interrupt_max_ms", "ms", 2),
}

local list = {}
for _, kind in ipairs { "thread", "process" } do
  for _, row in ipairs(rows[kind]) do
    row.kind = kind
    list[#list + 1] = row
  end
  for _, part in ipairs(ACCOUNT) do
    local row = span(part[1], "account", part[2], "ns", 0)
    row.kind = kind
    list[#list + 1] = row
  end
  for _, series in ipairs(SERIES) do
    for _, x in ipairs(series[3]) do
      local row = span(("%s: %d"):format(series[2], x), "growth",
        ("%s_%d"):format(series[1], x), "ns", 0)
      row.kind, row.series, row.x = kind, series[1], x
      list[#list + 1] = row
    end
  end
end
return list
