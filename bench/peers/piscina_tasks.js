// What piscina's workers run: tasks by name.
"use strict";

module.exports = {
  nothing() {},
  increment: (n) => n + 1,
  incrementAll: (numbers) => numbers.map((n) => n + 1),
  echo: (value) => value,
  compute(n) {
    let sum = 0;
    for (let i = 1; i <= n; i++) sum = (sum + i * i) % 1000003;
    return sum;
  },
};
