--- All that an executor promises, run against one kind of executor.
-- `require "spec.support.conformance" (kind)` in a spec makes the tests; kinds
-- are in spec.support.kinds. Each topic is a module that returns a function
-- of the kind, which calls `it`.
local busted = require "busted"

local topics = {
  "executors",
  "submit",
  "origins",
  "futures",
  "cancelling",
  "callbacks",
  "chaining",
  "as_completed",
  "wait",
  "map",
  "map_iterators",
  "map_control",
  "values",
  "functions",
  "globals",
  "objects",
  "refusals",
  "errors",
  "shutdown",
  "closing",
  "stopping",
  "queueing",
  "timeouts",
  "retries",
  "workers",
  "initializers",
  "limits",
  "overview",
  "coroutines",
  "programs",
  "channels",
  "counters",
  "dicts",
  "buffers",
}

-- Shared objects are the same to all kinds, but for how processes reach them,
-- which spec/process/shared_objects_spec.lua is about. So the sanitizers see
-- these topics with threads, and all others only without sanitizers.
local shared = { channels = true, counters = true, dicts = true, buffers = true }

return function(kind)
  for _, topic in ipairs(topics) do
    local tag = shared[topic] and kind.name ~= "thread" and " #again" or ""
    busted.describe(("%s: %s:%s"):format(kind.name, topic, tag), function()
      require("spec.support.conformance." .. topic)(kind)
    end)
  end
end
