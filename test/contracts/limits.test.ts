// Runs the contracts of limit stores, turn queues and tickets in memory, and in memory behind answers that arrive later.
import { FairQueue } from '../../src/store/memory/fair-queue.ts';
import { MemoryLimits } from '../../src/store/memory/limit-store.ts';
import { MemoryTickets } from '../../src/store/memory/tickets.ts';
import { LaterLimits, LaterQueue } from '../later-adapters.ts';
import { limitStoreContract } from './limit-store.ts';
import { ticketContract } from './tickets.ts';
import { turnQueueContract } from './turn-queue.ts';

const atOnce = (): Promise<void> => Promise.resolve();
/** Longer than a request and its answer take. */
const later = async (): Promise<void> => {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
};

limitStoreContract({ name: 'memory', open: (calendar) => new MemoryLimits(calendar), settled: atOnce });
limitStoreContract({ name: 'later answers', open: (calendar) => new LaterLimits(calendar), settled: later });
turnQueueContract({ name: 'memory', open: (settings) => new FairQueue(settings), settled: atOnce });
turnQueueContract({ name: 'later answers', open: (settings) => new LaterQueue(settings), settled: later });
ticketContract({ name: 'memory', open: (now) => new MemoryTickets(now) });
