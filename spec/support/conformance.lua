--- All that an executor promises, run against one kind of executor.
-- `require "spec.support.conformance" (kind)` in a spec makes the tests; kinds
-- are in spec.support.kinds. Each topic is a module that returns a function
-- of the kind, which calls `it`.
local busted = require "busted"

local topics = {
  "executors",
  "submit",
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

return function(kind)
  for _, topic in ipairs(topics) do
    busted.describe(("%s: %s:"):format(kind.name, topic), function()
      require("spec.support.conformance." .. topic)(kind)
    end)
  end
end
