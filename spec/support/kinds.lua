--- The kinds of executor, and what each can do.
-- A test that needs an ability asks for it, so that the suite runs on every
-- kind. To add a kind, add one line here and a spec that runs the suite.
--
-- * `constructor` the name in lpool
-- * `broken` the kind of error of an executor whose workers cannot start
-- * `concurrent` tasks run while the caller goes on, on up to max_workers
--   workers; so futures can be seen pending and running
-- * `same_process` tasks run in the process of the caller
-- * `interrupts` running tasks can be stopped
-- * `default_name` what a worker's name looks like
-- * `options` all that the constructor knows
local lpool = require "lpool"

-- luacheck: push no max line length
local kinds = {
  thread = { constructor = "ThreadPoolExecutor", broken = "BrokenThreadPool", concurrent = true, interrupts = true, same_process = true, default_name = "^ThreadPoolExecutor%-%d+_%d+$", options = { "finalizer", "initargs", "initializer", "max_queue", "max_tasks_per_child", "max_workers", "memory_limit", "on_full", "preload", "thread_name_prefix", "timeout" } },
  process = { constructor = "ProcessPoolExecutor", broken = "BrokenProcessPool", concurrent = true, interrupts = true, same_process = false, default_name = "^ProcessPoolExecutor%-%d+_%d+$", options = { "finalizer", "initargs", "initializer", "max_queue", "max_tasks_per_child", "max_workers", "memory_limit", "on_crash", "on_full", "preload", "timeout" } },
  serial = { constructor = "SerialExecutor", broken = "BrokenExecutor", concurrent = false, same_process = true, default_name = ".", options = { "finalizer", "initargs", "initializer", "memory_limit", "timeout" } },
}
-- luacheck: pop

for name, kind in pairs(kinds) do
  kind.name = name
  kind.knows = {}
  for _, option in ipairs(kind.options) do
    kind.knows[option] = true
  end

  --- Makes an executor of this kind; with two workers, if nothing is said.
  -- Options that belong to other kinds are left out; unknown ones are not.
  function kind.make(options)
    local wanted = { max_workers = kind.knows.max_workers and 2 }
    for key, value in pairs(options or {}) do
      if kind.knows[key] or not (kinds.thread.knows[key] or kinds.process.knows[key]) then
        wanted[key] = value
      end
    end
    wanted.max_workers = wanted.max_workers or nil
    return lpool[kind.constructor](wanted)
  end
end

return kinds
