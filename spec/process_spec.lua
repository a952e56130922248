-- ProcessPoolExecutor: what every executor promises, then what only it has.
local kinds = require "spec.support.kinds"

require "spec.support.conformance" (kinds.process)
