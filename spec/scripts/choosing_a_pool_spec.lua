-- The scripts of notebook 004 print what it prints, in the time that it takes.

local describe, it, assert, pending = describe, it, assert, pending
local _ENV = _G -- luacheck: ignore 211

local helper = require "spec.helper"
local lpool = require "lpool"
local socket = require "socket"
local runs = require "spec.scripts.runs"

package.path = "scripts/?.lua;" .. package.path
local page_server = require "page_server"

local T = runs.SECONDS
local SUMS <const> = [[
ProcessPoolExecutor Execution Time: D.DDDD seconds
Calculation for 10000000: 333333283333335000000
Calculation for 12000000: 575999928000002000000
Calculation for 11000000: 443666606166668500000
Calculation for 9000000: 242999959500001500000
Calculation for 13000000: 732333248833335500000
]]

-- The notebook's program, indented again.
local IN_PYTHON <const> = [[
import concurrent.futures
import time
import multiprocessing

def cpu_bound_calculation(n):
    result = 0
    for i in range(n):
        result += i*i
    return result

if __name__ == '__main__':
    numbers = [10000000, 12000000, 11000000, 9000000, 13000000]
    start_time = time.time()
    workers = multiprocessing.cpu_count()
    with concurrent.futures.ProcessPoolExecutor(max_workers=workers) as executor:
        results = executor.map(cpu_bound_calculation, numbers)
    end_time = time.time()
    print(f'ProcessPoolExecutor Execution Time: {end_time - start_time:.4f} seconds')
    for num, result in zip(numbers, results):
        print(f'Calculation for {num}: {result}')
]]

-- What a script prints, with a D for each digit of its execution time; and that time.
local function without_time(out)
  local seconds
  out = out:gsub("Execution Time: (%d+%.%d%d%d%d) ", function(text)
    seconds = tonumber(text)
    return "Execution Time: D.DDDD "
  end)
  return out, seconds
end

local function fetch(arguments)
  local out = without_time(runs.output("choosing_a_pool/fetch_urls", arguments))
  return runs.divide(out, "^Fetching ")
end

-- A URL on loopback where nobody answers, and what to close afterwards.
local function silent_host(scheme)
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  return ("%s://127.0.0.1:%d/"):format(scheme, port), listener
end

local function url_refused(scheme)
  local url, listener = silent_host(scheme)
  listener:close()
  return url
end

-- A certificate that signs itself, with its key, in one file.
local function certificate_file()
  local key = require("openssl.pkey").new { type = "EC", curve = "prime256v1" }
  local name = require("openssl.x509.name").new():add("CN", "127.0.0.1")
  local certificate = require("openssl.x509").new()
  certificate:setSubject(name)
  certificate:setIssuer(name)
  certificate:setLifetime(os.time() - 60, os.time() + 3600)
  certificate:setPublicKey(key)
  certificate:sign(key)
  return helper.temporary.file(tostring(certificate) .. key:toPEM("private"))
end

-- Tasks: a server that replies once over TLS.
local function listen()
  tls_listener = assert(socket.bind("127.0.0.1", 0)) -- luacheck: ignore 111
  return select(2, tls_listener:getsockname()) -- luacheck: ignore 113
end

local function serve_tls(file, reply)
  local client = require("ssl").wrap(tls_listener:accept(), { -- luacheck: ignore 113
    mode = "server", protocol = "any", key = file, certificate = file,
  })
  client:settimeout(10)
  client:dohandshake()
  repeat
    local line = client:receive()
  until not line or line == ""
  client:send(reply)
  client:close()
  tls_listener:close() -- luacheck: ignore 113
end

-- What stands in the rows of a table: { ["shares variables"] = "no  no" }.
local function rows_of(out)
  local rows = {}
  for _, line in ipairs(runs.lines(out)) do
    rows[line:sub(1, 32):gsub(" +$", "")] = line:sub(33):match("%S.*")
  end
  return rows
end

describe("choosing_a_pool:", function()
  it("fetch_urls fetches five pages of its own at once", function()
    local out, seconds = without_time(runs.timed("choosing_a_pool/fetch_urls", 1))
    assert.is_true(seconds >= T and seconds < 5 * T)
    local fetching, others = runs.divide(out, "^Fetching ")
    for i, line in ipairs(fetching) do
      assert.matches("^Fetching http://127%.0%.0%.1:%d+/%l+ in thread %w+%-0_%d$", line)
      helper.contains(" ThreadPoolExecutor-", line)
      fetching[i] = line:sub(-1)
    end
    table.sort(fetching)
    assert.are.equal("01234", table.concat(fetching))
    assert.are.equal([[
ThreadPoolExecutor Execution Time: D.DDDD seconds
http://127.0.0.1/google: 6300
http://127.0.0.1/yahoo: 24000
http://127.0.0.1/bing: 10500
http://127.0.0.1/duckduckgo: 5200
http://127.0.0.1/wikipedia: 60000
]], (others:gsub(":%d+/", "/")))
  end)

  it("fetch_urls has one line for each URL, come what may", function()
    local server <close> = page_server.start(0, 2)
    local missing, page = server.urls[1] .. "/none", server.urls[2]
    local refused, refused_tls = url_refused("http"), url_refused("https")
    local silent, listener = silent_host("http")
    local silent_tls, tls_listener = silent_host("https")
    local urls = { missing, refused, refused_tls, silent, silent_tls, page }
    local fetching, others = fetch("0.5 " .. table.concat(urls, " "))
    listener:close()
    tls_listener:close()
    assert.are.equal(6, #fetching)
    assert.are.equal(table.concat({
      "ThreadPoolExecutor Execution Time: D.DDDD seconds",
      missing .. ": failed: HTTP/1.1 404 Not Found",
      refused .. ": failed: connection refused",
      refused_tls .. ": failed: connection refused",
      silent .. ": failed: timeout",
      silent_tls .. ": failed: timeout",
      page .. ": 24000",
    }, "\n") .. "\n", others)
  end)

  it("fetch_urls fetches by https", function()
    local server <close> = lpool.ThreadPoolExecutor(1)
    local url = ("https://127.0.0.1:%s/"):format(server:submit(listen):result())
    local reply = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
    server:submit(serve_tls, certificate_file(), reply)
    local _, others = fetch(url)
    assert.are.equal(("%s: 6\n"):format(url), others:match("seconds\n(.*)"))
  end)

  for _, arguments in ipairs { "soon", "ftp://localhost/", "1 localhost", "http:///", "-1" } do
    runs.refuses("choosing_a_pool/fetch_urls", arguments)
  end

  it("sum_of_squares is exact beyond 64 bits", function()
    assert.are.equal(SUMS, (without_time(runs.output("choosing_a_pool/sum_of_squares"))))
  end)

  it("sum_of_squares is exact where the second integer begins", function()
    local _, sums = runs.divide(runs.output("choosing_a_pool/sum_of_squares",
      "0 1 2 100 1442250 1442251 3024618"), "Time")
    assert.are.equal([[
Calculation for 0: 0
Calculation for 1: 0
Calculation for 2: 1
Calculation for 100: 328350
Calculation for 1442250: 999999853754584125
Calculation for 1442251: 1000001933839646625
Calculation for 3024618: 9223380536828333485
]], sums)
  end)

  it("sum_of_squares beats the notebook's program in CPython #slow", function()
    if helper.shell("command -v python3").code ~= 0 then
      pending("no python3 here")
      return
    end
    local python = helper.temporary.file(IN_PYTHON)
    local theirs, slow = without_time(helper.shell("python3 " .. python).out)
    local ours, fast = without_time(runs.output("choosing_a_pool/sum_of_squares"))
    assert.are.equal(theirs, ours)
    assert.is_true(fast < slow, ("%g s, CPython %g s"):format(fast, slow))
  end)

  for _, arguments in ipairs { "many", "-1", "1.5", "1e3", "1000000001", "5 x", "''",
    "99999999999999999999" } do
    runs.refuses("choosing_a_pool/sum_of_squares", arguments)
  end

  it("worker_sweep measures one to 128 workers", function()
    local seconds <const> = 0.004
    local lines = runs.lines((runs.output("choosing_a_pool/worker_sweep", seconds)))
    assert.are.equal(10, #lines)
    assert.are.equal(("128 tasks on %d processors"):format(lpool.cpu_count()), lines[1])
    local alone
    for power = 0, 7 do
      local workers, waited, gain = lines[3 + power]:match(
        "^ *(%d+) +(%d+%.%d+) s +(%d+%.%d) x +%d+%.%d+ s +%d+%.%d x$")
      assert.are.equal(1 << power, tonumber(workers))
      assert.is_true(tonumber(waited) >= 128 / workers * seconds - 0.001)
      alone = alone or tonumber(waited)
      assert.is_true(math.abs(alone / waited - gain) <= 0.2 * gain)
    end
    assert.is_true(tonumber(lines[6]:match("s +(%S+) x")) > 2, "8 workers do not wait at once")
  end)

  runs.refuses("choosing_a_pool/worker_sweep", "soon")

  it("footprint tells threads from processes", function()
    local rows = rows_of((runs.output("choosing_a_pool/footprint", 4)))
    local expected = {
      ["4 workers each"] = "^ThreadPoolExecutor +ProcessPoolExecutor$",
      ["processes besides the script's"] = "^0 +4$",
      ["threads in the script's process"] = "^%d+ +%d+$",
      ["memory of a worker"] = "^%d+ KiB +%d+ KiB$",
      ["start of a worker"] = "^%d+%.%d%d ms +%d+%.%d%d ms$",
      ["start, one task, shutdown"] = "^%d+%.%d%d ms +%d+%.%d%d ms$",
      ["a task, there and back"] = "^%d+ us +%d+ us$",
      ["10,000 strings, there and back"] = "^%d+%.%d ms +%d+%.%d ms$",
      ["shares variables"] = "^no +no$",
      [("speed-up on %d processors"):format(lpool.cpu_count())] = "^%d+%.%d x +%d+%.%d x$",
      ["survives an error in a task"] = "^yes +yes$",
      ["survives the crash of a worker"] = "^no +yes$",
    }
    for label, pattern in pairs(expected) do
      assert.matches(pattern, rows[label] or label .. " is missing")
    end
    local threads, others = rows["threads in the script's process"]:match("(%d+) +(%d+)")
    assert.is_true(tonumber(threads) >= 5 and tonumber(others) < tonumber(threads))
  end)

  it("footprint measures the kinds that it is told to", function()
    local out = runs.output("choosing_a_pool/footprint", "2 ThreadPoolExecutor")
    assert.matches("^2 workers each +ThreadPoolExecutor\n", out)
    helper.lacks("Process", out)
  end)

  for _, arguments in ipairs { "none", "0", "-1", "1.5", "1001", "2 print", "2 PoolExecutor" } do
    runs.refuses("choosing_a_pool/footprint", arguments)
  end
end)
