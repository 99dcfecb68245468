// Protects unsaved changes: links, Back, and closing the page ask first.
import { useEffect, useRef } from 'react';

type Asks = () => Promise<boolean>;
interface Guard {
  readonly ask: Asks;
}
const guards = new Set<Guard>();

/** While `isHeld`, leaving asks; `ask` resolves to true if leaving is confirmed. */
export function useUnsaved(isHeld: boolean, ask: Asks): void {
  const latest = useRef(ask);
  useEffect(() => {
    latest.current = ask;
  });
  // One guard for as long as something is held: a page that redraws on its way out must not set up another one.
  useEffect(() => {
    if (!isHeld) return undefined;
    const guard: Guard = { ask: () => latest.current() };
    const stay = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', stay);
    guards.add(guard);
    return () => {
      window.removeEventListener('beforeunload', stay);
      guards.delete(guard);
    };
  }, [isHeld]);
}

/** Resolves to true if nothing is unsaved, or if leaving was confirmed; after that, the page does not ask again. */
export async function mayLeave(): Promise<boolean> {
  const asked = [...guards];
  for (const { ask } of asked) if (!(await ask())) return false;
  for (const guard of asked) guards.delete(guard);
  return true;
}

export const isAnythingHeld = (): boolean => guards.size > 0;
