-- Notebook 000, example 1: a pool of threads for tasks that wait.
--
--     lpool download_files.lua [seconds per download, 2 by default]
--
-- Five downloads on three workers: three begin at once, the others as soon as a
-- worker is free. Two seconds each make four in all, not ten.
--
-- In Python the threads share one interpreter, and `print` may tear their lines
-- apart. Here each worker has a Lua state of its own, into which download_file
-- is copied, and a printed line stays whole. Python's `with` is a block whose
-- executor is <close>d at its end; its range(1, 6) stops short of the 6.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(2)

local function download_file(file_id)
  print(("📥 Downloading file %d..."):format(file_id))
  lpool.sleep(seconds)
  print(("✅ File %d downloaded."):format(file_id))
end

-- Create a pool of threads
do
  local executor <close> = lpool.ThreadPoolExecutor { max_workers = 3 }
  executor:map(download_file, lpool.range(1, 5))
end

print("All downloads completed!")
