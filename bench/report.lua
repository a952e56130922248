-- Writes what `make bench-all` measured into docs/performance.md, between its
-- markers, and draws docs/plots/*.svg.
--
--     lpool bench/report.lua rows.jsonl account.jsonl
--
-- A marker is <!-- begin NAME --> ... <!-- end NAME -->; NAME is a function of
-- bench/tables.lua.

package.path = "bench/?.lua;" .. package.path
local charts = require "charts"
local results = require "results"
local tables = require "tables"

local DOCUMENT = "docs/performance.md"

local function write(path, content)
  local file <close> = assert(io.open(path, "w"))
  file:write(content)
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local data = results.load(arg[1], arg[2])
local document = read(DOCUMENT):gsub("(<!%-%- begin (%w+) %-%->\n).-(<!%-%- end %w+ %-%->)",
  function(first, name, last)
    return first .. "\n" .. tables[name](data) .. "\n\n" .. last
  end)
write(DOCUMENT, document)
os.execute("mkdir -p docs/plots")
for name, draw in pairs(charts) do
  local svg = draw(data)
  if svg then
    write(("docs/plots/%s.svg"):format(name), svg)
  end
end
print("wrote " .. DOCUMENT .. " and docs/plots")
