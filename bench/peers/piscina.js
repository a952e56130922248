// The same rows by piscina, the usual pool of worker threads for Node.
//
//     NODE_PATH=build/bench/node_modules node bench/peers/piscina.js <row>
//
// At its best: as many threads as the row has workers, several tasks on their
// way to each, no statistics. Its defaults are measured where they differ.
"use strict";
const fs = require("fs");
const path = require("path");
const { Piscina } = require("piscina");

const filename = path.join(__dirname, "piscina_tasks.js");
const now = () => Number(process.hrtime.bigint()) / 1e9;
const show = (key, value) => console.log(key, value);

function open(threads, options = {}) {
  return new Piscina({
    filename, minThreads: threads, maxThreads: threads, recordTiming: false, ...options,
  });
}

const manyEach = { concurrentTasksPerWorker: 64 };

async function warmUp(pool) {
  for (let i = 0; i < 1000; i++) await pool.run(undefined, { name: "nothing" });
}

function percentile(times, percent) {
  times.sort((a, b) => a - b);
  return times[Math.floor((times.length * percent) / 100)];
}

// In seconds, of all threads.
function processorTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const status = (field) =>
  Number(fs.readFileSync("/proc/self/status", "utf8").match(`${field}:\\s*(\\d+) kB`)[1]);

function resident() {
  global.gc?.();
  return status("VmRSS");
}

// Tasks a second, in one round.
async function round(pool, count, name, argument) {
  const start = now();
  const results = [];
  for (let i = 0; i < count; i++) results.push(pool.run(argument?.(i), { name }));
  for (const result of results) await result;
  return count / (now() - start);
}

// The same in the first round of a new pool, which ends with it.
async function rate(pool, count, name, argument) {
  await warmUp(pool);
  const tasksPerSecond = await round(pool, count, name, argument);
  await pool.destroy();
  return tasksPerSecond;
}

// The median of several trips, in milliseconds.
async function trips(value) {
  const pool = open(2);
  const times = [];
  for (let i = 0; i < 26; i++) {
    const start = now();
    await pool.run(value, { name: "echo" });
    times.push((now() - start) * 1e3);
  }
  await pool.destroy();
  return percentile(times.slice(5), 50);
}

async function once(options) {
  const start = now();
  const pool = open(2, options);
  await pool.run(1, { name: "echo" });
  await pool.destroy();
  return (now() - start) * 1e3;
}

const rows = {
  // The first round, in fresh memory, and the median of those after it.
  async tasks() {
    const COUNT = 20000, ROUNDS = 5;
    const pool = open(2, manyEach);
    await warmUp(pool);
    show("first_tasks_per_second", await round(pool, COUNT, "nothing"));
    const rates = [];
    for (let i = 0; i < ROUNDS; i++) rates.push(await round(pool, COUNT, "nothing"));
    show("tasks_per_second", percentile(rates, 50));
    await pool.destroy();
    show("tasks_per_second_default", await rate(new Piscina({ filename }), COUNT, "nothing"));
  },

  // It has no map: a task for each item; at its best, chunks made by hand.
  async map() {
    const ITEMS = 1000000, CHUNK = 20000;
    const byItem = await rate(open(2, manyEach), 20000, "increment", (i) => i);
    const pool = open(2);
    await warmUp(pool);
    const numbers = Array.from({ length: ITEMS }, (_, i) => i + 1);
    const start = now();
    const results = [];
    for (let i = 0; i < ITEMS; i += CHUNK) {
      results.push(pool.run(numbers.slice(i, i + CHUNK), { name: "incrementAll" }));
    }
    let sum = 0;
    for (const result of results) for (const n of await result) sum += n;
    const seconds = now() - start;
    if (sum !== (ITEMS * (ITEMS + 3)) / 2) throw new Error("wrong sum");
    await pool.destroy();
    for (const input of ["list", "range"]) {
      show(`${input}_items_per_second`, ITEMS / seconds);
      show(`${input}_items_per_second_default`, byItem);
    }
  },

  async round_trip() {
    const TRIPS = 10000;
    const pool = open(2);
    await warmUp(pool);
    const times = [];
    const wall = now(), cpu = processorTime();
    for (let i = 0; i < TRIPS; i++) {
      const start = now();
      await pool.run(undefined, { name: "nothing" });
      times.push((now() - start) * 1e6);
    }
    show("cpu_per_wall", (processorTime() - cpu) / (now() - wall));
    show("p50_us", percentile(times, 50));
    show("p99_us", percentile(times, 99));
    await pool.destroy();
  },

  async records() {
    const records = Array.from({ length: 10000 }, (_, i) =>
      ({ id: i + 1, name: `name ${i + 1}`, score: (i + 1) / 7 }));
    show("ms", await trips(records));
  },

  // A Buffer by itself is copied as a typed array; a string is as its bytes.
  async long_string() {
    show("ms", await trips("0123456789abcdef".repeat(1 << 20)));
  },

  async arithmetic() {
    async function seconds(workers) {
      const pool = open(workers);
      await warmUp(pool);
      const start = now();
      await Promise.all(Array.from({ length: 8 }, (_, i) =>
        pool.run(2000000 + i, { name: "compute" })));
      const time = now() - start;
      await pool.destroy();
      return time;
    }
    show("speedup", (await seconds(1)) / (await seconds(2)));
  },

  async idle_worker() {
    const WORKERS = 20;
    await once();
    const before = resident(), start = now();
    const pool = open(WORKERS);
    await Promise.all(Array.from({ length: WORKERS }, () => pool.run(1, { name: "echo" })));
    while (pool.threads.length < WORKERS) await pool.run(1, { name: "echo" });
    show("us", ((now() - start) / WORKERS) * 1e6);
    show("kib", (resident() - before) / WORKERS);
    await pool.destroy();
  },

  async pending_future() {
    const COUNT = 100000;
    const pool = open(1);
    await warmUp(pool);
    pool.run(1e10, { name: "compute" }).catch(() => {});
    const before = resident();
    const results = [];
    for (let i = 0; i < COUNT; i++) results.push(pool.run(undefined, { name: "nothing" }));
    show("bytes", ((resident() - before) * 1024) / results.length);
    process.exit();
  },

  async pool() {
    await once();
    const times = [];
    for (let i = 0; i < 11; i++) times.push(await once());
    show("next_ms", percentile(times, 50));
  },

  async idle() {
    const pool = open(2);
    await warmUp(pool);
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await sleep(300);
    const before = processorTime();
    await sleep(500);
    show("idle_us_per_s", ((processorTime() - before) * 1e6) / 0.5);
    await pool.destroy();
  },

  first: once,
};

rows[process.argv[2]]();
