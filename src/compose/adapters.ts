// Which adapters count limits and give turns at models. One gate does both in its own memory.
import type { Calendar } from '../domain/calendar.ts';
import { FairQueue } from '../store/memory/fair-queue.ts';
import { MemoryLimits } from '../store/memory/limit-store.ts';
import type { LimitStore } from '../store/ports/limit-store.ts';
import type { QueueSettings, TurnQueue } from '../store/ports/turn-queue.ts';

export interface Adapters {
  readonly limits: (calendar: Calendar) => LimitStore;
  readonly queue: <Server>(settings: QueueSettings<Server>) => TurnQueue<Server>;
}

export const inMemory: Adapters = {
  limits: (calendar) => new MemoryLimits(calendar),
  queue: (settings) => new FairQueue(settings),
};
