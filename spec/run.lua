-- Runs busted in whichever Lua runs this file: `lpool spec/run.lua [busted's options]`.
-- Busted's own script begins with "env lua", which may be another Lua or none at all.
require("busted.runner")({ standalone = false })
