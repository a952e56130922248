-- Counts the words of many files, once in sequence and once in a thread pool.
--
--     lpool word_count.lua [files or folders]
--
-- Prints the ten most frequent words, the totals, which are those of `wc`, and
-- the time that each way of counting took. Without arguments it counts the
-- licence texts of this system and the documents of this project.

local lpool = require "lpool"

local HELP = [[
usage: lpool word_count.lua [files or folders]

Counts lines, words and bytes as wc does in the C locale, and how often each
word occurs, in sequence and in a thread pool. Folders are searched for files;
links in them are not followed. Without arguments: the licence texts of this
system (/usr/share/common-licenses, /usr/share/doc/*/copyright) and the
documents of this project (*.md).
]]

-- Counting: what the workers do ----------------------------------------------

-- Where the word ends that the byte before `position` is in, with one byte of
-- the white space after it. Parts begin and end there, so no word is cut in two.
local function after_word(file, position)
  if position == 0 then
    return 0
  end
  position = assert(file:seek("set", position - 1))
  for block in file:lines(4096) do
    local space = block:find("%s")
    if space then
      return position + space
    end
    position = position + #block
  end
  return position
end

local function read_part(part)
  local file <close> = assert(io.open(part.path, "rb"))
  local first, last = after_word(file, part.first), after_word(file, part.last)
  file:seek("set", first)
  return file:read(last - first) or ""
end

local function new_tally()
  return { lines = 0, words = 0, bytes = 0, times = {} }
end

-- The task: counts one share of the work, a list of parts.
local function count(share)
  local tally, found = new_tally(), {}
  for _, part in ipairs(share) do
    local text = read_part(part)
    tally.bytes = tally.bytes + #text
    tally.lines = tally.lines + select(2, text:gsub("\n", ""))
    for word in text:lower():gmatch("%S+") do
      found[word] = (found[word] or 0) + 1
    end
  end

  -- For wc a word is what stands between white space, if any of it can be
  -- printed. The ranking wants letters, with punctuation around them at most.
  for word, n in pairs(found) do
    if word:find("[!-~]") then
      tally.words = tally.words + n
    end
    local letters = word:match("^%p*([%a\128-\255]+)%p*$")
    if letters then
      tally.times[letters] = (tally.times[letters] or 0) + n
    end
  end
  return tally
end

-- Two ways to have it done ---------------------------------------------------

local function add(total, tally)
  total.lines = total.lines + tally.lines
  total.words = total.words + tally.words
  total.bytes = total.bytes + tally.bytes
  for word, n in pairs(tally.times) do
    total.times[word] = (total.times[word] or 0) + n
  end
end

local function in_sequence(shares)
  local total = new_tally()
  for _, share in ipairs(shares) do
    add(total, count(share))
  end
  return total
end

local function in_pool(shares, workers)
  local pool <close> = lpool.ThreadPoolExecutor { max_workers = workers }
  local total = new_tally()
  for _, tally in pool:map(count, shares) do
    add(total, tally)
  end
  return total
end

-- What there is to count -----------------------------------------------------

local function fail(message)
  io.stderr:write("word_count: ", message, "\n")
  os.exit(1)
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function exists(path)
  local file, problem = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil, problem
end

-- Appends the files in a folder, or the file that path names.
local function find(files, path, condition)
  local before = #files
  local start = path:find("^%-") and "./" .. path or path
  local names = io.popen(("find -H %s -type f %s -print0"):format(quoted(start), condition or ""))
  for name in names:read("a"):gmatch("[^\0]+") do
    files[#files + 1] = name
  end
  if not names:close() then
    fail(path .. ": cannot be searched")
  elseif #files == before and not exists(path .. "/.") then
    fail(path .. ": neither a file nor a folder")
  end
end

local function find_all(paths)
  local files = {}
  for _, path in ipairs(paths) do
    local found, problem = exists(path)
    if not found then
      fail(problem)
    end
    find(files, path)
  end
  return files
end

local function default_files()
  local project = (arg[0]:match("^(.*/)") or "./") .. "../.."
  local files = {}
  find(files, project, "-name '*.md'")
  if exists("/usr/share/common-licenses") then
    find(files, "/usr/share/common-licenses")
  end
  if exists("/usr/share/doc") then
    find(files, "/usr/share/doc", "-name copyright")
  end
  return files
end

-- Reading every file once tells its size and, before anything is timed, brings
-- it into the system's cache.
local function size_of(path)
  local file, problem = io.open(path, "rb")
  if not file then
    fail(problem)
  end
  local size = 0
  for block in file:lines(1 << 16) do
    size = size + #block
  end
  file:close()
  return size
end

-- Divides files into shares of about this many bytes: small files together,
-- large ones cut into parts.
local function divide(files, bytes_in_share)
  local shares, room = {}, 0
  for _, file in ipairs(files) do
    local first = 0
    while first < file.size do
      if room == 0 then
        shares[#shares + 1], room = {}, bytes_in_share
      end
      local last = math.min(first + room, file.size)
      table.insert(shares[#shares], { path = file.path, first = first, last = last })
      first, room = last, room - (last - first)
    end
  end
  return shares
end

-- What came out --------------------------------------------------------------

-- 1234567 -> "1,234,567"
local function grouped(n)
  local digits, more = tostring(n), 1
  while more > 0 do
    digits, more = digits:gsub("^(%d+)(%d%d%d)", "%1,%2")
  end
  return digits
end

-- 1, "file" -> "1 file"; 2, "file" -> "2 files"
local function counted(n, thing)
  return grouped(n) .. " " .. thing .. (n == 1 and "" or "s")
end

local function print_top(times, limit)
  local words = {}
  for word in pairs(times) do
    words[#words + 1] = word
  end
  table.sort(words, function(a, b)
    if times[a] ~= times[b] then
      return times[a] > times[b]
    end
    return a < b
  end)
  for i = 1, math.min(limit, #words) do
    print(("%12s  %.60s"):format(grouped(times[words[i]]), words[i]))
  end
end

local function same(a, b)
  for word, n in pairs(a.times) do
    if b.times[word] ~= n then
      return false
    end
  end
  return a.lines == b.lines and a.words == b.words and a.bytes == b.bytes
end

local function timed(fn, ...)
  collectgarbage()
  local start = lpool.now()
  local result = fn(...)
  return result, lpool.now() - start
end

-- The program ----------------------------------------------------------------

local function with_sizes(paths)
  local files, bytes = {}, 0
  for i, path in ipairs(paths) do
    files[i] = { path = path, size = size_of(path) }
    bytes = bytes + files[i].size
  end
  return files, bytes
end

for _, argument in ipairs(arg) do
  if argument == "--help" then
    io.write(HELP)
    os.exit(0)
  elseif argument:find("^%-%-") then
    fail(("unknown option '%s'; try --help"):format(argument))
  end
end

-- A few shares for each worker keep all of them busy to the end; the larger a
-- share, the fewer words come back more than once.
local workers = lpool.cpu_count()
local files, bytes = with_sizes(#arg > 0 and find_all(arg) or default_files())
local shares = divide(files, math.min(math.max(bytes // (4 * workers) + 1, 1 << 16), 1 << 23))

local total, sequence_seconds = timed(in_sequence, shares)
local pool_total, pool_seconds = timed(in_pool, shares, workers)
if not same(total, pool_total) then
  fail("the pool and the sequence counted differently")
end

print_top(total.times, 10)
print(table.concat({ counted(total.lines, "line"), counted(total.words, "word"),
  counted(total.bytes, "byte") }, ", ") .. " in " .. counted(#files, "file"))
print(("in sequence              %8.3f s"):format(sequence_seconds))
print(("in a pool of %-11s %8.3f s, %.2f times as fast"):format(counted(workers, "worker"),
  pool_seconds, sequence_seconds / pool_seconds))
