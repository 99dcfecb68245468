// Pulls of models, kept outside of the page, so that a pull continues while other pages are open. After a reload it is
// requested again, which joins or resumes it at the server. Closing the page asks first.
import { useSyncExternalStore } from 'react';
import { ModelServer, type Progress } from './model-server.ts';

export interface Pull {
  readonly model: string;
  /** `all`, the name of a server, or undefined. */
  readonly where: string | undefined;
  readonly progress: Progress | undefined;
  readonly error: Error | undefined;
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
}

const name = 'sekisho-pull';
const listeners = new Set<() => void>();
let current: Pull | undefined;
let stop: AbortController | undefined;

function set(next: Pull | undefined): void {
  current = next;
  for (const listener of listeners) listener();
}

const change = (more: Partial<Pull>): void => {
  if (current) set({ ...current, ...more });
};

function note(
  kept: { readonly model: string; readonly where: string | undefined; readonly account: string } | undefined,
): void {
  try {
    if (kept) sessionStorage.setItem(name, JSON.stringify(kept));
    else sessionStorage.removeItem(name);
  } catch {
    // A reload then forgets it.
  }
}

const stay = (event: BeforeUnloadEvent): void => event.preventDefault();

/** Resolves when it has ended, successfully or not. */
export async function startPull(account: string, model: string, where: string | undefined): Promise<void> {
  if (current?.state === 'running') return;
  const server = new ModelServer();
  stop = new AbortController();
  const { signal } = stop;
  set({ model, where, progress: undefined, error: undefined, state: 'running' });
  note({ model, where, account });
  window.addEventListener('beforeunload', stay);
  try {
    await server.pull(model, where, signal, (progress) => change({ progress }));
    change({ state: 'done', progress: undefined });
  } catch (error) {
    change(signal.aborted ? { state: 'stopped' } : { state: 'failed', error: error as Error });
  } finally {
    note(undefined);
    window.removeEventListener('beforeunload', stay);
    server.forget();
  }
}

export const stopPull = (): void => stop?.abort();

/** The pull that a reload has interrupted, for the same account. */
export function resumePull(account: string): void {
  if (current) return;
  try {
    const kept = JSON.parse(sessionStorage.getItem(name) ?? 'null') as Parameters<typeof note>[0] | null;
    if (kept?.account === account) void startPull(account, kept.model, kept.where);
  } catch {
    // Unreadable, so there is nothing to resume.
  }
}

export const usePull = (): Pull | undefined =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
