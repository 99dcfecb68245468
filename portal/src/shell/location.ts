// The location for the router, with a question before unsaved changes are left by a link or by Back.
import { useCallback } from 'react';
import { navigate, usePathname } from 'wouter/use-browser-location';
import { isAnythingHeld, mayLeave } from './unsaved.ts';

interface How {
  readonly replace?: boolean;
  readonly state?: unknown;
}

/** The number of the history entry that is shown. Each entry has one, so that the browser can return to it. */
let here = Number((history.state as { at?: number } | null)?.at ?? 0);
/** The browser was told to return to the entry that is shown, and has not arrived. */
let isReturning = false;

function comeBack(from: number): void {
  isReturning = true;
  history.go(here - from);
}

// Before the router is notified: the question is asked on the current page, which stays unchanged meanwhile.
window.addEventListener(
  'popstate',
  (event) => {
    const to = Number((event.state as { at?: number } | null)?.at ?? 0);
    if (isReturning) {
      event.stopImmediatePropagation();
      isReturning = false;
      // Someone pressed Back again on the way.
      if (to !== here) comeBack(to);
      return;
    }
    if (!isAnythingHeld() || to === here) {
      here = to;
      return;
    }
    event.stopImmediatePropagation();
    const delta = to - here;
    comeBack(to);
    void mayLeave().then((leaves) => {
      if (leaves) history.go(delta);
    });
  },
  { capture: true },
);

export const useAskingLocation = (): [string, (to: string | URL, how?: How) => void] => {
  const path = usePathname();
  const go = useCallback((to: string | URL, how: How = {}) => {
    const from = window.location.pathname;
    const act = (): void => {
      if (how.replace !== true) here++;
      navigate(to, { ...how, state: { at: here } });
    };
    // Within a page, only its address changes.
    if (!isAnythingHeld() || new URL(to, window.location.href).pathname === from) act();
    else
      void mayLeave().then((leaves) => {
        if (leaves) act();
      });
  }, []);
  return [path, go];
};
