-- Ctrl-C in a terminal: the signal goes to the program and to all its workers.
local helper = require "spec.helper"
local processes = require "spec.support.processes"

-- Runs a program as a terminal would, and sends its group SIGINT once it is
-- ready: when it has arrived so often. `twice` for a second one soon after.
local function interrupt(source, arrivals, twice)
  local gate <close> = helper.gate.new()
  local script = helper.temporary.file([[
    local lpool = require "lpool"
    local gates = require "spec.support.gate"
    local PATH = ...
    local function task(path, busy)
      gates.arrive(path)
      if busy then while true do local t = {} end end
      lpool.sleep(1000)
    end
  ]] .. source)
  local stamp = helper.temporary.file()
  -- In a session of its own, whose leader is the program; a background job of
  -- sh would ignore SIGINT, so a helper that waits is in the background.
  local result = helper.shell(([[
    (
      n=0
      while [ "$(wc -c <%s)" -lt %d ] && [ $n -lt 2000 ]; do sleep 0.01; n=$((n + 1)); done
      leader=$(cat %s.pid)
      date +%%s.%%N >%s
      env kill -INT -- -"$leader"
      %s
      n=0
      while kill -0 "$leader" 2>&- && [ $n -lt 1000 ]; do sleep 0.01; n=$((n + 1)); done
      env kill -KILL -- -"$leader" 2>&-
    ) &
    setsid sh -c 'echo $$ >%s.pid; exec "$LPOOL" %s %s' </dev/null
    code=$?
    date +%%s.%%N >>%s
    cat %s.pid >>%s
    rm -f %s.pid
    exit $code
  ]]):format(gate.path, arrivals, gate.path, stamp, twice or "", gate.path, script, gate.path,
    stamp, gate.path, stamp, gate.path), { limit = 20 })
  local file <close> = io.open(stamp)
  local sent, ended, leader = file:read("n", "n", "n")
  result.after = (ended or 1e9) - (sent or 0)
  result.session = leader and math.tointeger(leader)
  return result
end

local function check(result)
  assert.are.equal("", result.err)
  assert.are.equal("", result.out)
  assert.are.equal(130, result.code)
  assert.is_true(result.after < helper.patience, ("took %.2f s"):format(result.after))
  helper.eventually(function()
    return #processes.of_session(result.session) == 0
  end, "all workers had ended")
end

local waits = {
  result = "futures[1]:result()",
  wait = "lpool.wait(futures)",
  as_completed = "for _ in lpool.as_completed(futures) do end",
  shutdown = "ex:shutdown()",
  closing = "",
  map = "for _ in ex:map(function(i) lpool.sleep(100) end, lpool.range(1, 100)) do end",
  receive = "lpool.channel():receive()",
  send = "local full = lpool.channel(1) full:send(1) full:send(2)",
  computing = "while true do local t = {} end",
}

describe("Ctrl-C to the whole group", function()
  for name, wait in pairs(waits) do
    it("ends the program and its workers within a second, silently, in " .. name, function()
      check(interrupt([[
        local ex <close> = lpool.ProcessPoolExecutor(6)
        local futures = {}
        for i = 1, 6 do futures[i] = ex:submit(task, PATH, i % 2 == 0) end
        for i = 7, 20 do futures[i] = ex:submit(print, "must not run") end
      ]] .. wait, 6))
    end)
  end

  it("ends programs whose tasks wait at channels, or for a key of a dict", function()
    check(interrupt([[
      local ex <close> = lpool.ProcessPoolExecutor(4)
      local empty, full, dict = lpool.channel(), lpool.channel(1), lpool.dict()
      full:send(1)
      local function wait(path, i)
        gates.arrive(path)
        if i == 1 then empty:receive() elseif i == 2 then full:send(2) end
        dict:update("key", function() lpool.sleep(1000) end)
      end
      for i = 1, 4 do ex:submit(wait, PATH, i) end
      empty:receive()
    ]], 4))
  end)

  it("twice ends it, too", function()
    check(interrupt([[
      local ex <close> = lpool.ProcessPoolExecutor(4)
      for i = 1, 4 do ex:submit(task, PATH, i % 2 == 0) end
      ex:submit(print, "must not run"):result()
    ]], 4, 'env kill -INT -- -"$leader"'))
  end)

  it("twice ends a program that catches the first", function()
    local result = interrupt([[
      local ex <close> = lpool.ProcessPoolExecutor(2)
      for i = 1, 2 do ex:submit(task, PATH, i % 2 == 0) end
      pcall(function() ex:submit(print, "must not run"):result() end)
      while true do pcall(function() while true do local t = {} end end) end
    ]], 2, 'sleep 0.1; env kill -INT -- -"$leader"')
    assert.are.equal("", result.err)
    assert.are.equal("", result.out)
    assert.are.equal(130, result.code)
    helper.eventually(function()
      return #processes.of_session(result.session) == 0
    end, "all workers had ended")
  end)

  it("can be caught, and the executor that was not waited for goes on", function()
    local result = interrupt([[
      local ex = lpool.ProcessPoolExecutor(2)
      local other = lpool.ProcessPoolExecutor(1)
      local pid = other:submit(lpool.getpid):result()
      local futures = { ex:submit(task, PATH), ex:submit(task, PATH, true) }
      local ok, err = pcall(futures[1].result, futures[1])
      print(ok, (tostring(err):gsub("^.-: ", "")))
      print(processes == nil, type(pid))
      ex:kill_workers()
      for i = 1, 2 do print(lpool.is(futures[i]:exception(10), "WorkerLostError")) end
      print(pcall(function()
        return lpool.ProcessPoolExecutor(1):submit(math.abs, -3):result(10)
      end))
      os.exit(0)
    ]], 2)
    assert.are.equal("", result.err)
    assert.are.equal("false\tinterrupted!\ntrue\tnumber\ntrue\ntrue\ntrue\t3\n", result.out)
    assert.are.equal(0, result.code)
  end)

  it("ends programs whose tasks have pools of their own", function()
    check(interrupt([[
      local ex <close> = lpool.ProcessPoolExecutor(2)
      for i = 1, 2 do
        ex:submit(function(path)
          local inner <close> = lpool.ProcessPoolExecutor(2)
          local f = inner:submit(task, path, i == 1)
          inner:submit(task, path, i == 2)
          f:result()
        end, PATH)
      end
      lpool.sleep(100)
    ]], 4))
  end)

  it("while many workers are being started ends them", function()
    check(interrupt([[
      gates.arrive(PATH)
      local ex <close> = lpool.ProcessPoolExecutor(40)
      for i = 1, 40 do ex:submit(lpool.sleep, 1000) end
      lpool.sleep(100)
    ]], 1))
  end)
end)
