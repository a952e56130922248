-- Notebook 002, example 3: results in the order in which they are ready.
--
--     lpool as_completed.lua [seconds of the shortest task, 1 by default]
--
-- Five tasks of one to three seconds on three workers. Whichever is done first
-- is printed first, and the futures, as table keys, say which one that was.
--
-- Python's dict comprehension is a loop. Its random.uniform(1, 3) is arithmetic
-- on math.random(), which differs from worker to worker.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local shortest = notebook.seconds(1)

-- Simulate task with random duration
local function process_task(task_id)
  local duration = shortest * (1 + 2 * math.random())
  print(("Task %d starting..."):format(task_id))
  lpool.sleep(duration)
  return ("Task %d completed in %.2fs"):format(task_id, duration)
end

do
  local executor <close> = lpool.ThreadPoolExecutor { max_workers = 3 }
  local futures = {}
  for i = 0, 4 do
    futures[executor:submit(process_task, i)] = i
  end

  -- Process results as they complete
  for future in lpool.as_completed(futures) do
    local task_id = futures[future]
    local result = future:result()
    assert(result:find("Task " .. task_id, 1, true)) -- the very task of this key
    print(("✓ %s"):format(result))
  end
end
