-- Notebook 004, example 1: a pool of threads for what waits for the network.
--
--     lpool fetch_urls.lua [seconds per page, 1 by default]
--     lpool fetch_urls.lua [longest wait in seconds, 10 by default] URL...
--
-- Five threads fetch five pages in the time of the slowest. Without URLs these
-- are pages of a server that the script itself starts, so no network is needed.
-- URLs may be http and https; certificates are not checked.
--
-- Python as the notebook has it fetches nothing: each task fails, as it names the
-- module threading, which was never imported. And one dead host would end its
-- loop. Here a task returns nil and the reason, as Lua functions do, and map hands
-- on both. zip(urls, results) has no counterpart: results come numbered.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local http = require "socket.http"
local https = require "ssl.https"
local lpool = require "lpool"
local notebook = require "notebook"
local page_server = require "page_server"

local function urls_from(first)
  for i = first, #arg do
    if not arg[i]:find("^https?://[^/]") then
      notebook.usage("[seconds] [http://... or https://...]")
    end
  end
  return table.move(arg, first, #arg, 1, {})
end

local seconds = notebook.to_seconds(arg[1])
local urls = urls_from(seconds and 2 or 1)

local latency, longest_wait = seconds or 1, seconds or 10
local server <close> = #urls == 0 and page_server.start(latency)
if server then
  urls, longest_wait = server.urls, latency + 10
end

-- What LuaSec calls a wait that was too long.
local timeouts = { wantread = "timeout", wantwrite = "timeout" }

local function fetch_url(url)
  print(("Fetching %s in thread %s"):format(url, lpool.worker().name))
  http.TIMEOUT, https.TIMEOUT = longest_wait, longest_wait
  local content, status, _, status_line = http.request(url)
  if not content then
    return nil, timeouts[status] or status -- such as "connection refused"
  elseif status >= 300 then
    return nil, status_line or status
  end
  return #content
end

local start_time = lpool.now()
local results
do
  local executor <close> = lpool.ThreadPoolExecutor { max_workers = 5 }
  results = executor:map(fetch_url, urls)
end
local end_time = lpool.now()
print(("ThreadPoolExecutor Execution Time: %.4f seconds"):format(end_time - start_time))
for i, length, problem in results do
  print(("%s: %s"):format(urls[i], length or "failed: " .. problem))
end
