// How V8 collects: young objects by one thread, and what the start leaves behind in memory.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects what loading left behind: code that runs once, and a heap that has grown for it. V8 would keep it, because an idle
 * process allocates nothing that would start a collection. It takes up to a tenth of a second, once.
 */
export function releaseStartMemory(): void {
  try {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as (options: object) => void;
    setFlagsFromString('--no-expose-gc');
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  } catch {
    // Deno has no such flags.
  }
}

/**
 * V8 has several threads collect young objects together. Here a collection takes a millisecond and happens for every hundredth
 * call, and waking the others costs more than they do: one thread takes a tenth off the CPU time of a call (docs/performance.md).
 */
export function collectYoungAlone(): void {
  try {
    setFlagsFromString('--no-parallel-scavenge');
  } catch {
    // Deno has no such flags.
  }
}
