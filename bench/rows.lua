--- What `make bench` measures: the rows of its table.
--
-- * `work` the measurement: bench/work/<work>.lua and bench/peers/<work>.py
-- * `key` which of the numbers that it prints
-- * `better` whether "more" or "less" of it is better
-- * the target, at most one of: `times_peer` (so many times better than the
--   peer), `at_least`, `at_most`
-- * `digits` behind the point
--
-- Below they are sorted by the kind of pool; the list that is returned has
-- that as `kind`.
local rows = {}

rows.thread = {
  { name = "200,000 no-op tasks", work = "tasks", key = "tasks_per_second",
    unit = "tasks/s", better = "more", digits = 0, times_peer = 30 },

  { name = "map over 1,000,000 integers, a list", work = "map", key = "list_items_per_second",
    unit = "items/s", better = "more", digits = 0, times_peer = 100 },
  { name = "map over 1,000,000 integers, a range", work = "map", key = "range_items_per_second",
    unit = "items/s", better = "more", digits = 0, times_peer = 100 },

  { name = "round trip, p50", work = "round_trip", key = "p50_us",
    unit = "us", better = "less", digits = 2, times_peer = 2 },
  { name = "round trip, p99", work = "round_trip", key = "p99_us",
    unit = "us", better = "less", digits = 2 },
  { name = "round trip, processor per wall time", work = "round_trip", key = "cpu_per_wall",
    unit = "", better = "less", digits = 2, at_most = 1.2 },

  { name = "10,000 records there and back", work = "records", key = "ms",
    unit = "ms", better = "less", digits = 2, at_most = 10 },
  { name = "a 16 MiB string there and back", work = "long_string", key = "ms",
    unit = "ms", better = "less", digits = 2, at_most = 5 },

  { name = "8 tasks of arithmetic, 2 workers for 1", work = "arithmetic", key = "speedup",
    unit = "times", better = "more", digits = 2, at_least = 1.9 },
  { name = "what 2 processes of lua5.4 reach now", work = "arithmetic", key = "machine",
    unit = "times", better = "more", digits = 2 },

  { name = "start", work = "start", key = "start_ms",
    unit = "ms", better = "less", digits = 2 },
  { name = "start, times that of lua5.4", work = "start", key = "start_times_lua",
    unit = "times", better = "less", digits = 2, at_most = 2 },
  { name = "start, pool of 2, one task", work = "start", key = "pool_ms",
    unit = "ms", better = "less", digits = 2 },
  { name = "the same, times lua5.4's start", work = "start", key = "pool_times_lua",
    unit = "times", better = "less", digits = 2, at_most = 3 },

  { name = "one idle worker, resident", work = "idle_worker", key = "kib",
    unit = "KiB", better = "less", digits = 1, at_most = 50 },
  { name = "one idle worker, start", work = "idle_worker", key = "us",
    unit = "us", better = "less", digits = 1, at_most = 80 },

  { name = "one pending future", work = "pending_future", key = "bytes",
    unit = "bytes", better = "less", digits = 0, at_most = 300 },

  { name = "2,000 sleepers of 50 ms, 1,000 workers", work = "sleepers", key = "seconds",
    unit = "s", better = "less", digits = 3, at_most = 0.15 },
  { name = "the same, resident at most", work = "sleepers", key = "mib",
    unit = "MiB", better = "less", digits = 1, at_most = 60 },

  { name = "cancelling 10,000 pending tasks", work = "stopping", key = "cancel_ms",
    unit = "ms", better = "less", digits = 2, at_most = 5 },
  { name = "a busy loop past its timeout, p50", work = "stopping", key = "timeout_p50_ms",
    unit = "ms", better = "less", digits = 2, at_most = 20 },
  { name = "a busy loop past its timeout, most of 50", work = "stopping", key = "timeout_max_ms",
    unit = "ms", better = "less", digits = 2, at_most = 20 },
  { name = "an interrupt, to the end of the task, p50", work = "stopping", key = "interrupt_p50_ms",
    unit = "ms", better = "less", digits = 2 },
  { name = "an interrupt, to the end, most of 50", work = "stopping", key = "interrupt_max_ms",
    unit = "ms", better = "less", digits = 2 },
}

rows.process = {
  { name = "200,000 no-op tasks", work = "tasks", key = "tasks_per_second",
    unit = "tasks/s", better = "more", digits = 0, times_peer = 60 },

  { name = "map over 1,000,000 integers, a list", work = "map", key = "list_items_per_second",
    unit = "items/s", better = "more", digits = 0, times_peer = 3 },
  { name = "map over 1,000,000 integers, a range", work = "map", key = "range_items_per_second",
    unit = "items/s", better = "more", digits = 0, times_peer = 3 },

  { name = "round trip, p50", work = "round_trip", key = "p50_us",
    unit = "us", better = "less", digits = 2, times_peer = 4 },
  { name = "round trip, p99", work = "round_trip", key = "p99_us",
    unit = "us", better = "less", digits = 2 },
  { name = "round trip, processor per wall time", work = "round_trip", key = "cpu_per_wall",
    unit = "", better = "less", digits = 2 },

  { name = "10,000 records there and back", work = "records", key = "ms",
    unit = "ms", better = "less", digits = 2, times_peer = 1 },
  { name = "a 16 MiB string there and back", work = "long_string", key = "ms",
    unit = "ms", better = "less", digits = 2, times_peer = 3 },

  { name = "8 tasks of arithmetic, 2 workers for 1", work = "arithmetic", key = "speedup",
    unit = "times", better = "more", digits = 2, at_least = 1.9 },
  { name = "what 2 processes of lua5.4 reach now", work = "arithmetic", key = "machine",
    unit = "times", better = "more", digits = 2 },

  { name = "pool of 2, one task, close: the first", work = "pool", key = "first_ms",
    unit = "ms", better = "less", digits = 2, at_most = 3 },
  { name = "pool of 2, one task, close: the next", work = "pool", key = "next_ms",
    unit = "ms", better = "less", digits = 2, at_most = 1 },

  { name = "start of one worker, to its first result", work = "idle_process", key = "one_us",
    unit = "us", better = "less", digits = 0, at_most = 300 },
  { name = "start of 50 workers at once, each", work = "idle_process", key = "each_us",
    unit = "us", better = "less", digits = 0 },
  { name = "one idle worker, PSS", work = "idle_process", key = "pss_kib",
    unit = "KiB", better = "less", digits = 0, at_most = 200 },
  { name = "one idle worker, private and dirty", work = "idle_process", key = "dirty_kib",
    unit = "KiB", better = "less", digits = 0 },
  { name = "50 idle workers, processor time", work = "idle_process", key = "idle_us_per_s",
    unit = "us/s", better = "less", digits = 0 },

  { name = "cancelling 10,000 pending tasks", work = "stopping", key = "cancel_ms",
    unit = "ms", better = "less", digits = 2, at_most = 5 },
  { name = "a busy loop past its timeout, p50", work = "stopping", key = "timeout_p50_ms",
    unit = "ms", better = "less", digits = 2, at_most = 20 },
  { name = "a busy loop past its timeout, most of 50", work = "stopping", key = "timeout_max_ms",
    unit = "ms", better = "less", digits = 2, at_most = 20 },
  { name = "an interrupt, to the end of the task, p50", work = "stopping", key = "interrupt_p50_ms",
    unit = "ms", better = "less", digits = 2 },
  { name = "an interrupt, to the end, most of 50", work = "stopping", key = "interrupt_max_ms",
    unit = "ms", better = "less", digits = 2 },
}

local list = {}
for _, kind in ipairs { "thread", "process" } do
  for _, row in ipairs(rows[kind]) do
    row.kind = kind
    list[#list + 1] = row
  end
end
return list
