// Whether the gateway is reachable, according to the last request of any page. While it is not, it is checked every few seconds.
import { useSyncExternalStore } from 'react';

const everyMs = 3_000;

let reached = true;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function set(next: boolean): void {
  if (next === reached) return;
  reached = next;
  for (const listener of listeners) listener();
}

/** Any answer arrived. */
export function noteReached(): void {
  clearTimeout(timer);
  timer = undefined;
  set(true);
}

/** No answer arrived. */
export function noteUnreachable(): void {
  set(false);
  timer ??= setTimeout(() => {
    timer = undefined;
    void probe();
  }, everyMs);
}

/** Checks once. */
export async function probe(): Promise<void> {
  try {
    await fetch('/management/v1/session', { credentials: 'same-origin', headers: { accept: 'application/json' } });
    noteReached();
  } catch {
    noteUnreachable();
  }
}

export function onReach(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const isReached = (): boolean => reached;
export const useReached = (): boolean => useSyncExternalStore(onReach, isReached);
