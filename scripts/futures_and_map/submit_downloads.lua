-- Notebook 002, example 1: submit, and futures.
--
--     lpool submit_downloads.lua [seconds per download, 2 by default]
--
-- Five downloads on three workers take four seconds. The first results are
-- printed while the last files are still on their way.
--
-- As in Python, submit returns at once, with a future: a result that may still
-- be to come, for which future:result() waits. If the task fails, it raises the
-- task's error.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(2)

-- Simulate file download
local function download_file(file_name)
  print(("Starting download: %s"):format(file_name))
  lpool.sleep(seconds) -- Simulate I/O operation
  print(("Completed download: %s"):format(file_name))
  return ("%s downloaded"):format(file_name)
end

-- Create thread pool with 3 workers
local files = { "file1.pdf", "file2.pdf", "file3.pdf", "file4.pdf", "file5.pdf" }

do
  local executor <close> = lpool.ThreadPoolExecutor { max_workers = 3 }

  -- Submit tasks and get Future objects
  local futures = {}
  for i, file in ipairs(files) do
    futures[i] = executor:submit(download_file, file)
  end

  -- Get results
  for _, future in ipairs(futures) do
    local result = future:result() -- Blocks until result is available
    print(("Result: %s"):format(result))
  end
end
