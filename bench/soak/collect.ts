// Loaded into the gate of a soak before its own code: collects all garbage every few seconds and writes the remaining bytes,
// one figure per line. This shows the live memory without the waves of an ordinary collector.
import { appendFileSync } from 'node:fs';
import process from 'node:process';

const everyMs = 5_000;

setInterval(() => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  appendFileSync(process.env['HEAP_FILE'] ?? '/dev/null', `${heapUsed + external}\n`);
}, everyMs).unref();
