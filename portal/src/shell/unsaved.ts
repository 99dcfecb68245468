// What was typed and not saved is not lost by a link, by Back or by closing the page: each of them asks first.
import { useEffect, useId } from 'react';

type Asks = () => Promise<boolean>;
const held = new Map<string, Asks>();

/** While `isHeld`, leaving asks; `ask` resolves to true where it may go on. */
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

/** Resolves to true where nothing is held, or where somebody said to leave it. */
export async function mayLeave(): Promise<boolean> {
  const asked = [...held];
  for (const [, ask] of asked) if (!(await ask())) return false;
  // The page that is left does not ask twice.
  for (const [id] of asked) held.delete(id);
  return true;
}

export const isAnythingHeld = (): boolean => held.size > 0;
