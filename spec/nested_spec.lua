-- Tasks that wait for tasks of their own executor: they get them run, or an
-- error; never a hang.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"

local function chain(ex, depth)
  if depth == 0 then
    return 0
  end
  return 1 + ex:submit(chain, ex, depth - 1):result()
end

local function tree(ex, depth)
  if depth == 0 then
    return 1
  end
  local left, right = ex:submit(tree, ex, depth - 1), ex:submit(tree, ex, depth - 1)
  return left:result() + right:result()
end

local function tree_by_map(ex, depth)
  local sum = 0
  for _, n in ex:map(function(i)
    return depth == 0 and i or tree_by_map(ex, depth - 1)
  end, { 1, 2 }) do
    sum = sum + n
  end
  return sum
end

describe("tasks that wait for tasks of their own executor", function()
  for workers = 1, 4 do
    it(("end, in depths from 2 to 32, with %d workers"):format(workers), function()
      local ex <close> = lpool.ThreadPoolExecutor(workers)
      for _, depth in ipairs { 2, 3, 8, 16, 32 } do
        assert.are.equal(depth, ex:submit(chain, ex, depth):result(30))
      end
    end)

    it(("end, many at a time, with %d workers"):format(workers), function()
      local ex <close> = lpool.ThreadPoolExecutor(workers)
      assert.are.equal(32, ex:submit(tree, ex, 5):result(30))
      assert.are.equal(48, ex:submit(tree_by_map, ex, 4):result(30))
    end)
  end

  it("end, by wait and as_completed", function()
    local ex <close> = lpool.ThreadPoolExecutor(1)
    assert.are.equal(6, ex:submit(function()
      local futures, sum = {}, 0
      for i = 1, 3 do
        futures[i] = ex:submit(math.abs, -i)
      end
      lpool.wait(futures)
      for f in lpool.as_completed(futures) do
        sum = sum + f:result()
      end
      return sum
    end):result(30))
  end)

  it("leave no more workers than there may be", function()
    local ex <close> = lpool.ThreadPoolExecutor(2)
    ex:submit(chain, ex, 32):result(30)
    helper.eventually(function()
      local count = 0
      for _, name in pairs(helper.inventory.threads()) do
        count = count + (name:find("^ThreadPool") and 1 or 0)
      end
      return count <= 2
    end, "the spare workers had ended")
  end)

  -- Ways to have the result of chain(depth - 1), in a program's text.
  local ways = {
    ["result"] = "return ex:submit(chain, depth - 1):result()",
    ["wait"] = [[local f = ex:submit(chain, depth - 1)
      lpool.wait { f }
      return f:result()]],
    ["wait for the first"] = [[local f = ex:submit(chain, depth - 1)
      lpool.wait({ f }, { return_when = lpool.FIRST_COMPLETED })
      return f:result()]],
    ["as_completed"] = [[for f in lpool.as_completed { ex:submit(chain, depth - 1) } do
        return f:result()
      end]],
    ["a map"] = "for _, n in ex:map(chain, { depth - 1 }) do return n end",
    ["a map without order"] =
      "for _, n in ex:map(chain, { depth - 1 }, { ordered = false }) do return n end",
  }
  for name, way in pairs(ways) do
    it("fail with DeadlockError past the limit of spare workers, by " .. name, function()
      -- In a program of its own: the tasks in the middle report what they raise.
      local result = helper.run((([[
        local lpool = require "lpool"
        local ex = lpool.ThreadPoolExecutor(1)
        local function chain(depth)
          if depth == 0 then
            return 1
          end
          WAY
        end
        print(ex:submit(chain, 100):result(30))
        local ok, err = pcall(function()
          return ex:submit(chain, 1000):result(60)
        end)
        print(ok, lpool.is(err, "DeadlockError"), ex:submit(math.abs, -1):result(30))
        ex:shutdown { cancel_futures = true }
      ]]):gsub("WAY", way)))
      assert.are.equal("1\nfalse\ttrue\t1\n", result.out)
    end)
  end

  it("end, whatever they wait by, in two pools that use each other", function()
    -- Fewer at a time than there may be spare workers: so nothing may fail.
    local function work(own, other, depth, seed)
      if depth == 0 then
        return 1
      end
      local sum, left, right = 0, (seed * 7 + 3) % 11, (seed * 5 + 1) % 13
      if seed % 3 == 0 then
        local lists = { { own, other, depth - 1, left }, { other, own, depth - 1, right } }
        for _, n in other:starmap(work, lists, { ordered = seed % 2 == 0 }) do
          sum = sum + n
        end
        return sum
      end
      local futures = {
        own:submit(work, other, own, depth - 1, left),
        other:submit(work, own, other, depth - 1, right),
      }
      if seed % 3 == 1 then
        for f in lpool.as_completed(futures) do
          sum = sum + f:result()
        end
      else
        lpool.wait(futures, { return_when = lpool.FIRST_COMPLETED })
        sum = futures[2]:result() + futures[1]:result()
      end
      return sum
    end
    local a <close> = lpool.ThreadPoolExecutor(2)
    local b <close> = lpool.ThreadPoolExecutor(1)
    for seed = 1, 12 do
      assert.are.equal(32, a:submit(work, a, b, 5, seed):result(30))
    end
  end)

  it("end or fail with DeadlockError when two full pools submit to each other #slow", function()
    helper.limit(60)
    -- Calls fn; nothing is left of a DeadlockError but that it counts as refused.
    local function try(fn, ...)
      local ok, result, refused = pcall(fn, ...)
      if ok then
        return result, refused or 0
      end
      return nil, lpool.is(result, "DeadlockError") and 1 or error(result)
    end
    local function grow(own, other, depth)
      local nodes, refused, futures = 1, 0, {}
      for _ = 1, depth > 0 and 3 or 0 do
        local f, count = try(other.submit, other, grow, other, own, depth - 1)
        futures[#futures + 1] = f
        refused = refused + count
      end
      for _, f in ipairs(futures) do
        local inner, count = try(f.result, f)
        nodes, refused = nodes + (inner or 0), refused + count
      end
      return nodes, refused
    end
    local a <close> = lpool.ThreadPoolExecutor { max_workers = 1, max_queue = 1 }
    local b <close> = lpool.ThreadPoolExecutor { max_workers = 2, max_queue = 1 }
    local nodes, refused = a:submit(grow, a, b, 3):result(30)
    assert.are.same({ 40, 0 }, { nodes, refused })
    -- More tasks than there can be spare workers.
    nodes, refused = a:submit(grow, a, b, 7):result(50)
    assert.is_true(nodes > 40 and refused > 0)
    assert.are.equal(1, a:submit(math.abs, -1):result(10))
    assert.are.equal(1, b:submit(math.abs, -1):result(10))
  end)

  it("may be handed futures of their own executor", function()
    local ex <close> = lpool.ThreadPoolExecutor(1)
    local first = ex:submit(function()
      local inner = ex:submit(function(outer)
        return outer:result()
      end, ex:submit(math.abs, -7))
      return inner:result()
    end)
    assert.are.equal(7, first:result(30))
  end)
end)
