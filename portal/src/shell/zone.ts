// The time zone of all times and days on pages: the viewer's, or the gateway's if the viewer has chosen it.
import { useSyncExternalStore } from 'react';

export type ZoneChoice = 'viewer' | 'gate';

const stored = 'sekisho-time-zone';
const viewer = Intl.DateTimeFormat().resolvedOptions().timeZone;
const listeners = new Set<() => void>();
let gate = viewer;
let choice: ZoneChoice = remembered();

function remembered(): ZoneChoice {
  try {
    return localStorage.getItem(stored) === 'gate' ? 'gate' : 'viewer';
  } catch {
    return 'viewer';
  }
}

const tell = (): void => {
  for (const listener of listeners) listener();
};

export const zones = (): Readonly<Record<ZoneChoice, string>> => ({ viewer, gate });

/** The session has the gateway's time zone. */
export function noteGateZone(zone: string): void {
  if (zone === gate) return;
  gate = zone;
  tell();
}

export function chooseZone(next: ZoneChoice): void {
  choice = next;
  try {
    localStorage.setItem(stored, next);
  } catch {
    // The choice then lasts until the page is left.
  }
  tell();
}

const zoneNow = (): string => (choice === 'gate' ? gate : viewer);

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useZone = (): string => useSyncExternalStore(listen, zoneNow);

/** The wall clock of a zone, as `2026-11-26T14:05`. */
export function wallAt(at: number, zone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  }).formatToParts(at);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? '';
  return `${part('year')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}`;
}

/** When a date starts in a time zone. */
export function startOf(date: string, zone: string): number {
  const wanted = Date.parse(`${date}T00:00Z`);
  let at = wanted;
  // The second pass corrects for a clock change in between.
  for (let round = 0; round < 2; round++) at += wanted - Date.parse(`${wallAt(at, zone)}Z`);
  return at;
}
