local helper = require "spec.helper"
local dkjson = require "dkjson"

-- What the programs below have at hand.
local BEGIN = [[
local lpool = require "lpool"
local function work(seconds)
  local stop = lpool.now() + (seconds or 0)
  while lpool.now() < stop do end
end
local function finish(futures)
  for _, future in ipairs(futures) do future:exception() end
end
-- Keeps the one worker of a pool busy: if it waited, another would work.
local function hold(ex)
  local begun, over = lpool.channel(), lpool.counter()
  local future = ex:submit(function()
    begun:send(1)
    while over:get() == 0 do end
  end)
  begun:receive()
  return future, function() over:set(1) end
end
]]

-- The events of a file, which must be JSON whatever stands in it.
local function read(path)
  local text = helper.temporary.read(path)
  assert.is_truthy(utf8.len(text), "the file is not UTF-8")
  assert.is_nil(text:find("[%z\1-\9\11-\31]"), "a control character is not escaped")
  local events, _, why = dkjson.decode(text)
  assert.is_nil(why)
  return events
end

-- Runs a program with a trace; gives the events, and how it ended.
local function trace(source, options)
  options = options or {}
  local path = helper.temporary.file()
  local script = helper.temporary.file(BEGIN .. source)
  local result = helper.shell(("%s exec $LPOOL --trace %s %s"):format(options.before or "", path,
    script), options)
  assert.are.equal(options.err or "", result.err)
  assert.are.equal(options.code or 0, result.code)
  return read(path), result, script
end

local function select_events(events, category)
  local found = {}
  for _, event in ipairs(events) do
    if event.cat == category then
      found[#found + 1] = event
    end
  end
  return found
end

-- The events of tasks by their numbers, of which each occurs once.
local function tasks_of(events)
  local tasks, count = {}, 0
  for _, event in ipairs(select_events(events, "task")) do
    local number = event.args.task
    assert.is_nil(tasks[number], ("task #%s occurs twice"):format(number))
    tasks[number] = event
    count = count + 1
  end
  return tasks, count
end

-- How many items of the maps of a name the pieces have; none occurs twice.
local function count_items(events, of)
  local seen, count = {}, 0
  for _, event in ipairs(select_events(events, "items")) do
    local first, last = event.name:match("^items (%d+)%-(%d+) of " .. of .. "$")
    first = first or event.name:match("^item (%d+) of " .. of .. "$")
    assert.is_truthy(first, event.name)
    assert.are.equal((last or first) - first + 1, event.args.items)
    for item = math.tointeger(first), math.tointeger(last or first) do
      assert.is_nil(seen[item])
      seen[item] = true
      count = count + 1
    end
  end
  return count
end

-- Names of tracks, and of processes, by what events say of themselves.
local function names_of(events)
  local tracks, processes = {}, {}
  for _, event in ipairs(events) do
    if event.name == "thread_name" then
      tracks[event.pid .. "/" .. event.tid] = event.args.name
    elseif event.name == "process_name" then
      processes[event.pid] = event.args.name
    end
  end
  return tracks, processes
end

local function track_of(event, events)
  return (names_of(events))[event.pid .. "/" .. event.tid]
end

describe("lpool --trace", function()
  helper.each_kind(function(kind)
    local constructor = kind.constructor
    local make = ("local ex <close> = lpool.%s(%s)\n"):format(constructor,
      kind.concurrent and "2" or "")

    it("has each task once, with its worker, its times and its end", function()
      local events, _, script = trace(make .. [[
        local futures = {}
        for i = 1, 200 do futures[i] = ex:submit(work, i % 20 == 0 and 0.001 or 0) end
        futures[201] = ex:submit(error, "no")
        finish(futures)
      ]])
      local tasks, count = tasks_of(events)
      assert.are.equal(201, count)
      for number, event in ipairs(tasks) do
        local args = event.args
        assert.are.equal("X", event.ph)
        assert.are.equal("task #" .. number, event.name)
        assert.are.equal(number == 201 and "failed" or "finished", args.ended)
        assert.matches("^" .. constructor, args.executor)
        local line = number == 201 and 22 or 21
        assert.are.equal(("%s:%d"):format(script, line), args.submitted_at)
        assert.matches(kind.default_name, track_of(event, events))
        assert.are.equal(args.executor, track_of(event, events):match("^(.*)_%d+$"))
        assert.is_true(event.ts >= 0 and event.dur >= 0 and args.waited_us >= 0)
        assert.is_true(event.dur >= (number % 20 == 0 and 1000 or 0))
        assert.is_true(event.ts + event.dur < 60e6 * helper.patience)
      end
    end)

    it("has tasks of one track one after the other", function()
      local events = trace(make .. [[
        local futures = {}
        for i = 1, 300 do futures[i] = ex:submit(work) end
        finish(futures)
      ]])
      local ends = {}
      local tasks = select_events(events, "task")
      table.sort(tasks, function(a, b)
        return a.ts < b.ts
      end)
      for _, event in ipairs(tasks) do
        local track = event.pid .. "/" .. event.tid
        assert.is_true(event.ts >= (ends[track] or 0) - 0.002)
        ends[track] = event.ts + event.dur
      end
    end)

    it("has each item of a map once", function()
      local events = trace(make .. [[
        for _ in ex:map(math.abs, lpool.range(1, 20000)) do end
      ]])
      assert.are.equal(20000, count_items(events, "a map"))
      for _, event in ipairs(select_events(events, "items")) do
        assert.are.equal("finished", event.args.ended)
        assert.matches(":20$", event.args.submitted_at)
      end
    end)

    it("has the label of a map, and how many items failed", function()
      local events = trace(make .. [[
        local results = ex:with { label = "odd" }:map(function(i)
          if i % 2 == 1 then error "odd" end
        end, lpool.range(1, 100))
        for i = 1, 100 do pcall(results) end
      ]])
      assert.are.equal(100, count_items(events, "map 'odd'"))
      local failed = 0
      for _, event in ipairs(select_events(events, "items")) do
        failed = failed + event.args.failed
        assert.are.equal(event.args.failed > 0 and "failed" or "finished", event.args.ended)
      end
      assert.are.equal(50, failed)
    end)

    it("says that a task called os.exit", function()
      local events = trace(make .. "ex:submit(os.exit, 3):exception()")
      assert.are.equal("exit", tasks_of(events)[1].args.ended)
    end)

    it("is JSON whatever labels have in them", function()
      local events = trace(make .. [[
        finish {
          ex:with { label = 'quote" back\\slash \n\1 \xff\xc0\x80 \u{20ac}' }:submit(work),
          ex:with { label = ("\u{20ac}"):rep(1000) }:submit(work),
          ex:with { label = ("\1"):rep(1000) }:submit(work),
          ex:with { label = "" }:submit(work),
        }
        local results = ex:with { label = "\"\xed\xa0\x80" }:map(work, { 0 })
        results()
      ]])
      local tasks = tasks_of(events)
      assert.are.equal('quote" back\\slash \n\1 \u{ff}\u{c0}\u{80} \u{20ac}', tasks[1].name)
      assert.matches("^\u{20ac}\u{20ac}\u{20ac}", tasks[2].name)
      assert.matches("^\1\1\1", tasks[3].name)
      assert.are.equal("task #4", tasks[4].name)
      assert.are.equal("item 1 of map '\"\u{ed}\u{a0}\u{80}'",
        select_events(events, "items")[1].name)
    end)

    it("names workers and processes", function()
      local events = trace(make .. "ex:submit(work):result()")
      local event = tasks_of(events)[1]
      local _, processes = names_of(events)
      assert.matches(kind.same_process and "^lpool" or kind.default_name, processes[event.pid])
      local moments = {}
      for _, moment in ipairs(select_events(events, "worker")) do
        if moment.pid == event.pid and moment.tid == event.tid then
          moments[moment.name] = moment.ts
        end
      end
      assert.is_true(moments.begins <= event.ts + event.dur)
      assert.is_true(moments.ends >= event.ts + event.dur)
    end)

    it("is whole after os.exit, with what had ended", function()
      local events = trace([[
        local ex = lpool.]] .. constructor .. [[()
        ex:submit(work, 0.002):result()
        os.exit(7)
      ]], { code = 7 })
      -- What a process has not sent by then is gone with it.
      if kind.same_process then
        assert.are.equal(1, select(2, tasks_of(events)))
      end
    end)

    it("is whole after os.exit that closes the state", function()
      local events = trace([[
        local ex = lpool.]] .. constructor .. [[()
        local futures = {}
        for i = 1, 50 do futures[i] = ex:submit(work) end
        finish(futures)
        os.exit(7, true)
      ]], { code = 7 })
      assert.are.equal(50, select(2, tasks_of(events)))
    end)
  end)

  for _, kind in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor" } do
    describe("of a " .. kind .. ":", function()
      it("tasks that never began are on the track of their pool", function()
        local events = trace(([[
          local ex <close> = lpool.%s(1)
          local first, go_on = hold(ex)
          local futures = {}
          for i = 1, 100 do futures[i] = ex:submit(work) end
          for i = 1, 50 do futures[i]:cancel() end
          ex:shutdown { wait = false, cancel_futures = true }
          go_on()
          first:result()
        ]]):format(kind))
        local tasks, count = tasks_of(events)
        assert.are.equal(101, count)
        for number, event in ipairs(tasks) do
          assert.are.equal(number == 1 and "finished" or "cancelled", event.args.ended)
          if number > 1 then
            assert.are.equal(0, event.dur)
            assert.are.equal(event.args.executor, track_of(event, events))
          end
        end
      end)

      it("items of a map that never began are there, too", function()
        local events = trace(([[
          local ex <close> = lpool.%s(1)
          local first, go_on = hold(ex)
          local results = ex:map(work, lpool.range(1, 100))
          results:close()
          go_on()
          first:result()
        ]]):format(kind))
        assert.are.equal(100, count_items(events, "a map"))
        assert.are.equal("cancelled", select_events(events, "items")[1].args.ended)
      end)

      it("a task that takes too long has ended by its time limit", function()
        local events = trace(([[
          local ex <close> = lpool.%s(1)
          ex:with { timeout = 0.05 }:submit(work, 100):exception()
          ex:submit(work):result()
        ]]):format(kind))
        local tasks = tasks_of(events)
        assert.are.equal("timeout", tasks[1].args.ended)
        assert.is_true(tasks[1].dur >= 50000)
        assert.are.equal("finished", tasks[2].args.ended)
      end)

      it("an interrupted task is cancelled, on the track of its worker", function()
        local events = trace(([[
          local ex <close> = lpool.%s(1)
          local gate = lpool.channel()
          local future = ex:submit(function() gate:send(1) work(100) end)
          gate:receive()
          future:interrupt()
          lpool.wait { future }
        ]]):format(kind))
        local event = tasks_of(events)[1]
        assert.are.equal("cancelled", event.args.ended)
        assert.matches("_0$", track_of(event, events))
        assert.is_true(event.dur > 0)
      end)

      it("workers that are replaced lose nothing", function()
        local events = trace(([[
          local ex <close> = lpool.%s { max_workers = 2, max_tasks_per_child = 3 }
          local futures = {}
          for i = 1, 30 do futures[i] = ex:submit(work) end
          finish(futures)
        ]]):format(kind))
        assert.are.equal(30, select(2, tasks_of(events)))
      end)

      it("pools of tasks are traced as well", function()
        local events = trace(([[
          local outer <close> = lpool.%s(1)
          outer:submit(function()
            for _, name in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor" } do
              local inner <close> = lpool[name](2)
              for _ in inner:with { label = name }:map(math.abs, lpool.range(1, 100)) do end
            end
          end):result()
        ]]):format(kind))
        local tasks, count = tasks_of(events)
        assert.are.equal(1, count)
        assert.are.equal("finished", tasks[1].args.ended)
        local items = {}
        for _, event in ipairs(select_events(events, "items")) do
          local name = event.name:match("'(.*)'")
          items[name] = (items[name] or 0) + event.args.items
        end
        assert.are.same({ ThreadPoolExecutor = 100, ProcessPoolExecutor = 100 }, items)
      end)
    end)
  end

  describe("of a worker that is killed", function()
    local KILL = [[
      local function die()
        os.execute("kill -KILL $PPID")
        while true do end
      end
    ]]

    it("says that its task is lost, and all others are there", function()
      local events = trace(KILL .. [[
        local ex <close> = lpool.ProcessPoolExecutor(1)
        local futures = {}
        for i = 1, 10 do futures[i] = ex:submit(work, 0.003) end
        futures[11] = ex:submit(die)
        for i = 12, 21 do futures[i] = ex:submit(work, 0.003) end
        finish(futures)
      ]])
      local tasks, count = tasks_of(events)
      assert.are.equal(21, count)
      for number, event in ipairs(tasks) do
        assert.are.equal(number == 11 and "lost" or "finished", event.args.ended)
        assert.are.equal("ProcessPoolExecutor-0_0", track_of(event, events))
      end
      assert.are.equal(tasks[10].pid, tasks[11].pid)
      assert.are_not.equal(tasks[12].pid, tasks[11].pid)
      local deaths = 0
      for _, event in ipairs(select_events(events, "worker")) do
        if event.name == "dies" then
          deaths = deaths + 1
          assert.are.equal(tasks[11].pid, event.pid)
          assert.are.equal("was killed by SIGKILL", event.args.how)
        end
      end
      assert.are.equal(1, deaths)
    end)

    it("has what was taken together with its task", function()
      local events = trace(KILL .. [[
        local ex <close> = lpool.ProcessPoolExecutor(1)
        local futures = {}
        -- All are queued before the worker begins, and it finds that they are tiny.
        for i = 1, 20 do futures[i] = ex:submit(math.abs, 1) end
        for i = 21, 35 do futures[i] = ex:submit(work, 0.003) end
        futures[36] = ex:submit(die)
        finish(futures)
      ]])
      local tasks = tasks_of(events)
      for number = 21, 35 do
        assert.are.equal("finished", tasks[number] and tasks[number].args.ended)
      end
      assert.are.equal("lost", tasks[36].args.ended)
    end)

    it("has each run of a task that is tried again", function()
      local events = trace(KILL .. [[
        local ex <close> = lpool.ProcessPoolExecutor(1)
        local tries = lpool.counter()
        ex:with { retries = 2 }:submit(function()
          if tries:add() < 3 then die() end
        end):result()
      ]])
      local endings = {}
      for i, event in ipairs(select_events(events, "task")) do
        assert.are.equal(1, event.args.task)
        endings[i] = event.args.ended
      end
      table.sort(endings)
      assert.are.same({ "finished", "lost", "lost" }, endings)
    end)

    it("says which items are lost with it", function()
      local events = trace(KILL .. [[
        local ex <close> = lpool.ProcessPoolExecutor(1)
        local results = ex:map(function(i)
          if i == 5 then die() end
          work(0.003)
        end, lpool.range(1, 10))
        for i = 1, 10 do pcall(results) end
      ]])
      assert.are.equal(10, count_items(events, "a map"))
      for _, event in ipairs(select_events(events, "items")) do
        assert.are.equal(event.name == "item 5 of a map" and "lost" or "finished",
          event.args.ended)
      end
    end)

    it("says that tasks went with their pool", function()
      local events = trace(KILL .. [[
        local ex <close> = lpool.ProcessPoolExecutor { max_workers = 1, on_crash = "break" }
        local gate = lpool.channel()
        local futures = { ex:submit(function() gate:receive() die() end) }
        for i = 2, 10 do futures[i] = ex:submit(work) end
        gate:send(1)
        finish(futures)
      ]])
      local tasks, count = tasks_of(events)
      assert.are.equal(10, count)
      for _, event in pairs(tasks) do
        assert.are.equal("broken", event.args.ended)
      end
    end)
  end)

  it("of a script without tasks is whole", function()
    local events = trace("")
    assert.are.equal(1, #events)
    assert.are.equal("process_name", events[1].name)
  end)

  it("is whole if the script fails", function()
    local path = helper.temporary.file()
    local script = helper.temporary.file(BEGIN .. [[
      local ex = lpool.ThreadPoolExecutor(1)
      ex:submit(work):result()
      error("oh")
    ]])
    local result = helper.shell(("$LPOOL --trace %s %s"):format(path, script))
    assert.are.equal(1, result.code)
    helper.contains("oh", result.err)
    assert.are.equal(1, select(2, tasks_of(read(path))))
  end)

  it("is whole if the script does not compile", function()
    local path = helper.temporary.file()
    local result = helper.shell(("$LPOOL --trace %s -e 'x ='"):format(path))
    assert.are.equal(1, result.code)
    assert.are.equal(1, #read(path))
  end)

  it("is whole after Ctrl-C, with what had ended", function()
    local events = trace([[
      local ex = lpool.ThreadPoolExecutor(1)
      ex:submit(work):result()
      ex:submit(work, 100)
      io.popen("kill -INT $PPID"):close()
      while true do local t = {} end
    ]], { code = 130 })
    assert.are.equal(1, select(2, tasks_of(events)))
  end)

  it("is whole after a second Ctrl-C, and if the program is killed", function()
    for signal, code in pairs { INT = 130, KILL = 137 } do
      local events = trace(([[
        local ex = lpool.ThreadPoolExecutor(1)
        ex:submit(work, 0.002):result()
        while true do
          pcall(function()
            io.popen("kill -%s $PPID"):close()
            while true do local t = {} end
          end)
        end
      ]]):format(signal), { code = code })
      assert.are.equal("process_name", events[1].name)
    end
  end)

  it("is not open in programs that the script runs", function()
    local path = helper.temporary.file()
    local script = helper.temporary.file([[
      require "lpool"
      local list = io.popen("ls -l /proc/self/fd"):read("a")
      print(list:find(arg[1], 1, true))
    ]])
    local result = helper.shell(("$LPOOL --trace %s %s %s"):format(path, script, path))
    assert.are.equal("nil\n", result.out)
  end)

  it("replaces what was in the file", function()
    local path = helper.temporary.file(("x"):rep(100000))
    helper.shell(("$LPOOL --trace %s -e ''"):format(path))
    assert.are.equal(1, #read(path))
  end)

  it("on a full disk ends, and says so once; tasks go on", function()
    local path = helper.temporary.file()
    local script = helper.temporary.file(BEGIN .. [[
      local ex <close> = lpool.ThreadPoolExecutor(2)
      local sum = 0
      local futures = {}
      for i = 1, 1000 do futures[i] = ex:submit(math.abs, 1) end
      for i = 1, 1000 do sum = sum + futures[i]:result() end
      print(sum)
    ]])
    -- A limit of 32 KiB for all files that the program writes.
    local result = helper.shell(("trap '' XFSZ; ulimit -f 64; exec $LPOOL --trace %s %s"):format(
      path, script))
    assert.are.equal("1000\n", result.out)
    assert.matches("^lpool: cannot write trace file '" .. path:gsub("%p", "%%%0")
      .. "': [^\n]+\n$", result.err)
    assert.are.equal(0, result.code)
    assert.are.equal("process_name", read(path)[1].name)
  end)

  describe("says why it cannot make the file", function()
    for what, case in pairs {
      ["in no folder"] = { "/no/such/folder/x", "No such file or directory" },
      ["in place of a folder"] = { "/tmp", "Is a directory" },
      ["without room"] = { "/dev/full", "No space left on device" },
      ["into a pipe"] = { "/dev/stdout", "Illegal seek", " | cat; exit 1" },
    } do
      it(what, function()
        local result = helper.shell(("$LPOOL --trace %s -e 'print(1)'%s"):format(case[1],
          case[3] or ""))
        helper.refused(("lpool: cannot open trace file '%s': %s\n"):format(case[1], case[2]),
          result)
      end)
    end
  end)
end)
