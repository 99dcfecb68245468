// What V8 does about memory: no optimizing compiler during the start, young objects collected by one thread, and what the start
// leaves behind.
import process from 'node:process';
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

const compilers = ['maglev', 'turbofan'] as const;

/** A start that works for longer than this has something worth optimizing. */
const mostPlainStartMs = 1_000;

/**
 * Keeps the optimizing compilers off during the start, which is over before what they make of it is of use, and gives how to let
 * them on again. Otherwise 10 MB of their own code is in the memory of a gateway that has not answered a call yet.
 */
export function startPlainly(): () => void {
  const given = `${process.execArgv.join(' ')} ${process.env['NODE_OPTIONS'] ?? ''}`;
  if (/--(?:no[-_]?)?(?:maglev|turbofan|opt|jitless|lite[-_]mode)\b/.test(given)) return () => undefined;
  try {
    for (const compiler of compilers) setFlagsFromString(`--no-${compiler}`);
  } catch {
    // Deno has no such flags.
    return () => undefined;
  }
  const letOn = (): void => {
    clearTimeout(timer);
    for (const compiler of compilers) setFlagsFromString(`--${compiler}`);
  };
  const timer = setTimeout(letOn, mostPlainStartMs).unref();
  return letOn;
}
