-- Notebook 001, the parameters: what a worker does before its first task.
--
--     lpool initializer.lua [seconds per task, 0.1 by default]
--
-- Each worker loads its dictionary once, however many tasks it gets. What the
-- initializer leaves in a global is there for all tasks of that worker.
--
-- The notebook has initializers "only for ProcessPoolExecutor"; since Python 3.7
-- threads have them too. In Python a thread's initializer would set the globals
-- of the whole program; here every worker has its own, of either kind.

-- luacheck: globals dictionary

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(0.1)

local function load_dictionary(language, words)
  print(("%s loads its %s dictionary"):format(lpool.worker().name, language))
  dictionary = words
end

local function translate(word)
  lpool.sleep(seconds)
  return dictionary[word]
end

local german = { one = "eins", two = "zwei", three = "drei", four = "vier" }

for _, name in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor" } do
  local executor <close> = lpool[name] {
    max_workers = 2,
    initializer = load_dictionary,
    initargs = { "German", german },
  }
  local results = executor:map(translate, { "one", "two", "three", "four" }):totable()
  print(("%s: %s"):format(name, notebook.list(results)))
end

print("The script's own dictionary: " .. notebook.list { dictionary, n = 1 })
