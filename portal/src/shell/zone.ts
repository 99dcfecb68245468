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

/** The wall clock of a zone, as `2026-11-26T14:05:33`. */
export function wallAt(at: number, zone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(at);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? '';
  const date = `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`;
  return `${date}T${part('hour')}:${part('minute')}:${part('second')}`;
}

/** When a date starts in a time zone. */
export const startOf = (date: string, zone: string): number => instantOf(`${date}T00:00`, zone);

/** The last day that a field takes, in every time zone. */
export const lastDay = '9999-12-30';

/** When the clocks of a zone show `2026-11-26T14:05`, at most on the last day; NaN for other texts. */
export function instantOf(wall: string, zone: string): number {
  const wanted = Date.parse(/^\d{5,}-/.test(wall) ? `${lastDay}T00:00Z` : `${wall}Z`);
  let at = wanted;
  // The second pass corrects for a clock change in between.
  for (let round = 0; round < 2 && !Number.isNaN(at); round++) at += wanted - Date.parse(`${wallAt(at, zone)}Z`);
  return at;
}
