--- Executors and futures for Lua: run functions in parallel.
-- @module lpool
local core = require "lpool.core"
local errors = require "lpool.errors"
local executor = require "lpool.executor"
require "lpool.future"
local many = require "lpool.many"
local progress = require "lpool.progress"
local range = require "lpool.range"

return {
  _VERSION = "lpool " .. core.version,

  ThreadPoolExecutor = executor.ThreadPoolExecutor,
  ProcessPoolExecutor = executor.ProcessPoolExecutor,
  SerialExecutor = executor.SerialExecutor,
  Future = core.Future,

  as_completed = many.as_completed,
  wait = many.wait,
  gather = many.gather,
  FIRST_COMPLETED = many.FIRST_COMPLETED,
  FIRST_EXCEPTION = many.FIRST_EXCEPTION,
  ALL_COMPLETED = many.ALL_COMPLETED,

  channel = core.channel,
  counter = core.counter,
  dict = core.dict,
  buffer = core.buffer,

  range = range.range,
  zip = range.zip,
  progress = progress.progress,
  is = errors.is,

  sleep = core.sleep,
  now = core.now,
  cpu_count = core.cpu_count,
  getpid = core.getpid,
  worker = core.worker,
  poll = core.poll,
}
