-- A small web server on loopback, so that choosing_a_pool/fetch_urls.lua works
-- without a network. It serves five pages, each some time after the request.

local lpool = require "lpool"
local socket = require "socket"

-- luacheck: globals listener

local page_server = {}

-- How often each page says its name, a line of three bytes more.
local pages = {
  { name = "google", lines = 700 },
  { name = "yahoo", lines = 3000 },
  { name = "bing", lines = 1500 },
  { name = "duckduckgo", lines = 400 },
  { name = "wikipedia", lines = 5000 },
}

local bodies = {}
for _, page in ipairs(pages) do
  bodies["/" .. page.name] = ("<%s>\n"):format(page.name):rep(page.lines)
end

-- When nobody comes for so many seconds, the server ends.
local PATIENCE <const> = 10

-- The path that a client asks for; nil if it asks for nothing.
local function requested(client)
  client:settimeout(1)
  local path = (client:receive() or ""):match("^GET (%S+)")
  repeat
    local header = client:receive()
  until not header or header == ""
  return path
end

local function reply(client, path)
  local status, body = "200 OK", bodies[path]
  if not body then
    status, body = "404 Not Found", "no such page\n"
  end
  local head = "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
  client:send(head:format(status, #body) .. body)
  client:close()
end

-- A task: opens the server's socket and returns its port. The socket cannot
-- travel; as a global of the worker it is there for the next task.
local function listen()
  listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  return math.tointeger(port)
end

-- A task: replies so many times, each time `latency` seconds after the request.
-- Requests are read while earlier ones wait, so they wait together.
local function serve(times, latency)
  local waiting = {} -- what to reply and when, the next one first
  while times > 0 do
    local pause = waiting[1] and math.max(0, waiting[1].due - lpool.now()) or PATIENCE
    if socket.select({ listener }, nil, pause)[1] then
      local client = listener:accept()
      local due = lpool.now() + latency
      table.insert(waiting, { client = client, path = requested(client), due = due })
    elseif waiting[1] then
      local first = table.remove(waiting, 1)
      reply(first.client, first.path)
      times = times - 1
    else
      break
    end
  end
  listener:close()
end

local Server = { __name = "page server" }

-- Waits until the server has ended.
function Server:__close()
  self.executor:shutdown()
end

--- Starts a server. It ends when it has replied, or when nobody comes.
-- @tparam number latency seconds from a request to its reply
-- @tparam[opt=5] integer times how often it replies
-- @treturn table to be closed; its `urls` are a list of the pages
function page_server.start(latency, times)
  local executor = lpool.ThreadPoolExecutor { max_workers = 1, thread_name_prefix = "page server" }
  local port = executor:submit(listen):result()
  executor:submit(serve, times or #pages, latency)

  local urls = {}
  for i, page in ipairs(pages) do
    urls[i] = ("http://127.0.0.1:%d/%s"):format(port, page.name)
  end
  return setmetatable({ executor = executor, urls = urls }, Server)
end

return page_server
