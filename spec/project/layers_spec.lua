-- The dependency rules of docs/architecture.md, made executable.

local may_include = {
  base = {},
  core = { "base" },
  shared = { "base", "core" },
  codec = { "base" },
  vm = { "base", "codec" },
  workers = { "base", "core", "shared", "vm" },
  api = { "base", "core", "shared", "codec", "vm", "workers", "include" },
  binding = { "include" },
  cli = { "include" },
}

local without_lua = { "base", "core", "shared", "workers" }

-- Not a layer: programs that the build runs, made of one file and Lua each.
local no_layer = { include = true, tools = true }

local function sources(layer)
  return io.popen(("ls runtime/%s/*.[ch] 2>/dev/null"):format(layer)):lines()
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function includes(path)
  return read(path):gmatch('#%s*include%s+["<]([^">]+)[">]')
end

local function folder_of(target)
  return target == "lpool.h" and "include" or target:match("^(%w+)/")
end

describe("layers:", function()
  it("every folder of runtime/ has its place", function()
    for folder in io.popen("ls runtime"):lines() do
      assert(may_include[folder] or no_layer[folder], folder .. " is no layer")
    end
  end)

  for layer, below in pairs(may_include) do
    it(layer .. " includes only what lies below it", function()
      local allowed = { [layer] = true }
      for _, name in ipairs(below) do
        allowed[name] = true
      end
      for path in sources(layer) do
        for target in includes(path) do
          local folder = folder_of(target)
          if may_include[folder] or folder == "include" then
            assert(allowed[folder], path .. " must not include " .. target)
          end
        end
      end
    end)
  end

  for _, layer in ipairs(without_lua) do
    it(layer .. " does not know Lua", function()
      for path in sources(layer) do
        for target in includes(path) do
          local lua = target:match("^lua%w*%.h$") or target == "lauxlib.h"
          assert(not lua, path .. " must not include " .. target)
        end
      end
    end)
  end

  it("file names are unique over the tree", function()
    local seen = {}
    for path in io.popen("ls runtime/*/*.[ch]"):lines() do
      local name = path:match("[^/]+$")
      assert(not seen[name], ("%s and %s have the same name"):format(path, seen[name]))
      seen[name] = path
    end
  end)
end)
