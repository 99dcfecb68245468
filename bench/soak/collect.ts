// Loaded into the gate of a soak before its own code: collects all garbage every few seconds and writes down what is
// left, in bytes, one figure a line. What lives on is then seen without the waves that a collector makes by itself.
import { appendFileSync } from 'node:fs';
import process from 'node:process';

const everyMs = 5_000;

setInterval(() => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  appendFileSync(process.env['HEAP_FILE'] ?? '/dev/null', `${heapUsed + external}\n`);
}, everyMs).unref();
