-- Tasks that are stopped in every way, at every moment: each future ends
-- once, and the pool goes on. Each scenario is a program of its own.
local helper = require "spec.helper"
local load = require "spec.support.load"

local program = load.program

-- A program that makes its executors with `make`, of the kind of this name.
local function on(kind, source)
  return ([[
    local kind = require("spec.support.kinds").%s
    local make = kind.make
    %s
  ]]):format(kind, source)
end

for _, kind in ipairs { "thread", "process" } do
  describe(kind .. " pools whose tasks are stopped #slow:", function()
    it("cancel against completion: a task ran or was cancelled, never both", function()
      program(10000, 100000, 200, on(kind, [[
        local workers = 2
        local ex = make { max_workers = workers }
        local function run(i)
          ran = ran or {}
          ran[#ran + 1] = i
          return -i
        end
        local function take()
          local list = ran or {}
          ran = nil
          return list
        end
        local n, cancelled, calls = 0, {}, {}
        local function call(f) calls[f] = (calls[f] or 0) + 1 end
        local function settle(futures, first)
          for k, f in ipairs(futures) do
            local i = first + k
            local ok, value = pcall(f.result, f, 20)
            assert(ok == not cancelled[i], "cancel said what is not so")
            assert(ok and value == -i or not ok and lpool.is(value, "CancelledError"))
            assert(f:state() == (ok and "finished" or "cancelled"))
          end
          lpool.poll()
          for _, f in ipairs(futures) do assert(calls[f] == 1, "called back twice, or never") end
          calls = {}
        end
        -- Batches of all sizes, cancelled in all orders after pauses of all lengths.
        while n < LOAD do
          local size, futures = n % 7 == 0 and 1 or n % 50 + 1, {}
          for k = 1, size do
            futures[k] = ex:submit(run, n + k)
            futures[k]:add_done_callback(call)
          end
          for _ = 1, math.random(0, 3000) do end
          local from, to, step = 1, size, 1
          if n % 2 == 0 then from, to, step = size, 1, -1 end
          for k = from, to, step do
            if futures[k]:cancel() then cancelled[n + k] = true end
            if k % 8 == 0 then for _ = 1, math.random(0, 300) do end end
          end
          settle(futures, n)
          n = n + size
        end
        local seen, count = {}, 0
        for _, f in ipairs(ex:broadcast(take)) do
          for _, i in ipairs(f:result(20)) do
            assert(not seen[i], "ran twice")
            seen[i] = true
            count = count + 1
          end
        end
        for i = 1, n do
          assert(not seen[i] == (cancelled[i] or false), "ran and was cancelled, or neither")
        end
        assert(0 < count and count < n, "no race")
        ex:shutdown()
        print("ok")
      ]]))
    end)

    it("several threads that cancel the same 10,000 tasks agree on each", function()
      program(10000, 10000, 100, on(kind, [[
        local rounds = FULL and 20 or 2
        local cancellers <close> = lpool.ThreadPoolExecutor(4)
        local function cancel(list, way, how)
          local said = {}
          for k = 1, #list do
            local i = way == 1 and k or way == 2 and #list + 1 - k or k * 7919 % #list + 1
            said[i] = list[i][how](list[i])
          end
          return said
        end
        for round = 1, rounds do
          local ex <close> = make { max_workers = 2 }
          local futures, called = {}, 0
          for i = 1, LOAD do
            futures[i] = ex:submit(square, i)
            futures[i]:add_done_callback(function() called = called + 1 end)
          end
          local how = round % 2 == 0 and "interrupt" or "cancel"
          local answers = {}
          for way = 1, 3 do answers[way] = cancellers:submit(cancel, futures, way, how) end
          local done, not_done = lpool.wait(futures, { timeout = 60 })
          assert(#done == LOAD and #not_done == 0)
          for way = 1, 3 do answers[way] = answers[way]:result(60) end
          lpool.poll()
          assert(called == LOAD, called .. " callbacks")
          for i, f in ipairs(futures) do
            local state = f:state()
            assert(state == "cancelled" or state == "finished" and f:result() == i * i)
            if how == "cancel" then
              for way = 1, 3 do
                assert(answers[way][i] == (state == "cancelled"), "they disagree")
              end
            end
          end
        end
        print("ok")
      ]]))
    end)

    it("tasks of all sorts, stopped at random moments in all ways", function()
      local seconds = load.FULL and 180 or 4
      helper.limit(seconds + 70)
      local result = helper.run(([[
        local inventory = require "spec.support.inventory"
        local chaos = require "spec.support.chaos"
        local kinds = require "spec.support.kinds"
        -- What the runtime keeps for the life of the program.
        kinds.%s.make({ timeout = 10 }):submit(math.abs, 1):result()
        collectgarbage()
        local before = inventory.take()
        chaos.run(kinds.%s, %d)
        local lpool = require "lpool"
        local deadline = lpool.now() + 20
        local left
        repeat
          collectgarbage()
          lpool.poll()
          left = inventory.leaks(before)
        until not left or lpool.now() > deadline
        assert(not left, left)
        print("ok")
      ]]):format(kind, kind, seconds), { limit = seconds + 60 })
      -- What it printed before ends in the seed of the last round.
      assert.are.equal("ok\n", result.out:sub(-80):match("ok\n") or result.out:sub(-80)
        .. result.err:sub(1, 4000))
      assert.are.equal("", result.err:sub(1, 4000))
      assert.are.equal(0, result.code)
    end)

    it("cancelling, limits and interrupts take as long as they may", function()
      helper.limit(100)
      local result = helper.run('arg[0] = "bench/work/stopping.lua" dofile(arg[0])',
        { args = kind, limit = 90 })
      assert.are.equal("", result.err)
      local measured = {}
      for key, value in result.out:gmatch("([%w_]+)%s+([%d.e+-]+)") do
        measured[key] = tonumber(value)
      end
      -- Medians, since the machine may be busy; `make bench` shows the most.
      for key, most in pairs { cancel_ms = 5, timeout_p50_ms = 20, interrupt_p50_ms = 20 } do
        local in_time = measured[key] < most or helper.patience > 1
        assert.is_true(in_time, key .. ": " .. result.out)
      end
    end)
  end)
end
