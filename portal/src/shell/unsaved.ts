// Protects unsaved changes: links, Back, and closing the page ask first.
import { useEffect, useId } from 'react';

type Asks = () => Promise<boolean>;
const held = new Map<string, Asks>();

/** While `isHeld`, leaving asks; `ask` resolves to true if leaving is confirmed. */
export function useUnsaved(isHeld: boolean, ask: Asks): void {
  const id = useId();
  useEffect(() => {
    if (!isHeld) return undefined;
    const stay = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', stay);
    held.set(id, ask);
    return () => {
      window.removeEventListener('beforeunload', stay);
      held.delete(id);
    };
  });
}

/** Resolves to true if nothing is unsaved, or if leaving was confirmed. */
export async function mayLeave(): Promise<boolean> {
  const asked = [...held];
  for (const [, ask] of asked) if (!(await ask())) return false;
  // A page does not ask twice.
  for (const [id] of asked) held.delete(id);
  return true;
}

export const isAnythingHeld = (): boolean => held.size > 0;
