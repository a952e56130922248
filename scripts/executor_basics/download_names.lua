-- Notebook 001, example 1: results of a pool that is closed already.
--
--     lpool download_names.lua [seconds per download, 2 by default]
--
-- Three downloads on three workers take two seconds. The results of a map
-- outlive its executor: they are read after the block that closed it.
--
-- Python's list(results) is results:totable(). The two spaces in the last line
-- are the notebook's: one ends its text, the other comes from print.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(2)

local function download_file(name)
  print(("Downloading %s...."):format(name))
  lpool.sleep(seconds)
  print(("%s downloaded."):format(name))
  return name
end

local files = { "file1", "file2", "file3" }

local results
do
  local executor <close> = lpool.ThreadPoolExecutor { max_workers = 3 }
  results = executor:map(download_file, files)
end

print("All download complete:  " .. notebook.list(results:totable()))
