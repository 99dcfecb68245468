// The accent colour of this gate: the page carries it, so that the first paint has it, and the session brings it when it has changed.
import { useMemo, useSyncExternalStore } from 'react';
import { type Shades, shadesOf, vermilion } from './shades.ts';

let color = document.querySelector<HTMLMetaElement>('meta[name="accent-color"]')?.content ?? '';
const listeners = new Set<() => void>();

export function noteAccent(next: string): void {
  if (next === color) return;
  color = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useAccent(): Shades {
  const accent = useSyncExternalStore(subscribe, () => color);
  return useMemo(() => (/^#[0-9a-f]{6}$/.test(accent) ? shadesOf(accent) : vermilion), [accent]);
}
