-- What decides whether a benchmark got slower, and what writes the report.
-- Nothing is measured here.

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- Modules of bench/ require each other by bare names.
local function bench(name)
  return assert(loadfile(("bench/%s.lua"):format(name)))()
end

describe("bench-check:", function()
  local judge = bench "judge"
  local row = { name = "thread tasks", better = "more" }
  local limits = { calm = 3, patience = 6, most = 20 }

  -- Judges one row whose rounds measure these numbers of lpool; the last one
  -- lasts. The floor measures 1,000.
  local function run(numbers, before, of)
    local round = 0
    local function measure()
      round = round + 1
      return numbers[math.min(round, #numbers)], 1000
    end
    return judge.run({ of or row }, { ["thread tasks"] = before }, measure, limits)[1]
  end

  it("sees what costs 20 % more", function()
    local result = run({ 100 / 1.2 }, 10)
    assert.are.equal("slower", result.verdict)
    assert.is_true(math.abs(result.more - 0.2) < 1e-9)
  end)

  it("sees it in times as well as in rates", function()
    local result = run({ 12000 }, 10, { name = "thread tasks", better = "less" })
    assert.are.equal("slower", result.verdict)
  end)

  it("lets pass what costs 10 % more or less", function()
    assert.are.equal("same", run({ 100 / 1.1 }, 10).verdict)
    assert.are.equal("same", run({ 100 / 0.9 }, 10).verdict)
  end)

  it("takes the best round, so one good one is enough", function()
    assert.are.equal("same", run({ 20, 100, 30 }, 10).verdict)
  end)

  it("measures until some rounds in turn have changed nothing", function()
    assert.are.equal(1 + limits.calm, run({ 100 }, 10).rounds)
    assert.are.equal(3 + limits.calm, run({ 90, 95, 100 }, 10).rounds)
  end)

  it("measures for longer before it calls a row slower", function()
    local result = run({ 50, 50, 50, 50, 50, 99 }, 10)
    assert.are.equal("same", result.verdict)
    result = run({ 50 }, 10)
    assert.are.equal("slower", result.verdict)
    assert.are.equal(1 + limits.patience, result.rounds)
  end)

  it("gives up what never settles", function()
    local numbers = {}
    for i = 1, 100 do
      numbers[i] = i
    end
    assert.are.equal(limits.most, run(numbers, 10).rounds)
  end)

  it("measures no more for what is faster, or new", function()
    local faster, new = run({ 200 }, 10), run({ 50 }, nil)
    assert.are.equal("faster", faster.verdict)
    assert.are.equal(1 + limits.calm, faster.rounds)
    assert.are.equal("new", new.verdict)
    assert.is_nil(new.more)
  end)

  it("compares as it is what has no floor", function()
    local results = judge.run({ { name = "bytes", better = "less" } }, { bytes = 200 },
      function() return 300 end, limits)
    assert.are.equal("slower", results[1].verdict)
    assert.are.equal(300, results[1].cost)
  end)

  it("has a baseline", function()
    local costs = bench("json").decode(read("bench/baseline.json")).costs
    assert.is_truthy(next(costs))
    for name, cost in pairs(costs) do
      assert.is_true(cost > 0, name)
    end
  end)
end)

describe("bench/json:", function()
  local json = bench "json"

  it("reads what it writes", function()
    local value = {
      text = 'a "quoted" back\\slash\nline', list = { 1, 2.5, -3e-07 }, yes = true, no = false,
      inner = { deep = { "x" } },
    }
    assert.are.same(value, json.decode(json.encode(value)))
  end)

  it("reads white space and refuses what is no JSON", function()
    assert.are.same({ a = { 1, {} } }, json.decode(' { "a" : [ 1 , { } ] } \n'))
    for _, text in ipairs { "", "{", '{"a" 1}', "[1,", '"open', "word", "1 2" } do
      assert.has_error(function() json.decode(text) end)
    end
  end)
end)

describe("bench/report:", function()
  local page = read("docs/performance.md")

  -- What a pattern captures in a text, as a sorted list.
  local function all(text, pattern)
    local found = {}
    for name in text:gmatch(pattern) do
      found[#found + 1] = name
    end
    table.sort(found)
    return found
  end

  it("has a place in the document for each table, and a table for each place", function()
    local tables = all(read("bench/tables.lua"), "function sections%.(%w+)")
    assert.are.same(tables, all(page, "<!%-%- begin (%w+) %-%->"))
    assert.are.same(tables, all(page, "<!%-%- end (%w+) %-%->"))
  end)

  it("shows each plot in the document", function()
    local charts = all(read("bench/charts.lua"), "function charts%.(%w+)")
    assert.are.same(charts, all(page, "%(plots/(%w+)%.svg%)"))
  end)
end)
