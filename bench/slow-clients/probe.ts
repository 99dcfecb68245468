// The well-behaved client, whose answers an attack must not delay: a small constant rate of requests for the version, some
// over kept connections and some over new ones, and a few streamed chats. A request is timed from the moment at which it was
// due, so that a delayed client does not report less.
import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Latencies {
  readonly requests: number;
  readonly failed: number;
  /** How many of the failed ones had asked for a new connection. */
  readonly failedNew: number;
  /** A failed request counts as having taken its whole timeout. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly faults: readonly string[];
}

export interface Target {
  readonly url: string;
  readonly secret: string;
  /** PEM of the authority, if the gate encrypts. */
  readonly ca: string | undefined;
}

/** Requests per second. */
export const rate = 55;
const timeoutMs = 5_000;

/** Of eleven requests, eight use kept connections, two use new ones, and one is a chat. */
const kinds = ['kept', 'kept', 'kept', 'kept', 'new', 'kept', 'kept', 'chat', 'kept', 'kept', 'new'] as const;
type Kind = (typeof kinds)[number];

const chat = JSON.stringify({
  model: 'gemma3:270m',
  messages: [{ role: 'user', content: 'Who stands at the checkpoint?' }],
});

export class Probe {
  readonly #target: Target;
  readonly #kept: PlainAgent;
  readonly #request: typeof plainRequest;

  constructor(target: Target) {
    this.#target = target;
    const secure = target.ca !== undefined;
    this.#kept = secure ? new SecureAgent({ keepAlive: true, maxSockets: 8 }) : new PlainAgent({ keepAlive: true });
    this.#request = secure ? secureRequest : plainRequest;
  }

  async measure(seconds: number): Promise<Latencies> {
    const tookMs: number[] = [];
    const faults = new Map<string, number>();
    let failedNew = 0;
    const total = Math.round(seconds * rate);
    const beganMs = performance.now();
    const running: Promise<void>[] = [];
    for (let i = 0; i < total; i++) {
      const dueMs = beganMs + (i * 1000) / rate;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      const kind = kinds[i % kinds.length] as Kind;
      running.push(
        this.#ask(kind).then((fault) => {
          tookMs.push(fault === undefined ? performance.now() - dueMs : timeoutMs);
          if (fault === undefined) return;
          if (kind === 'new') failedNew++;
          faults.set(`${kind}: ${fault}`, (faults.get(`${kind}: ${fault}`) ?? 0) + 1);
        }),
      );
    }
    await Promise.all(running);
    tookMs.sort((a, b) => a - b);
    const at = (share: number): number => tookMs[Math.min(tookMs.length - 1, Math.floor(tookMs.length * share))] ?? 0;
    return {
      requests: total,
      failed: [...faults.values()].reduce((sum, count) => sum + count, 0),
      failedNew,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      faults: [...faults].map(([fault, count]) => `${count} × ${fault}`),
    };
  }

  close(): void {
    this.#kept.destroy();
  }

  /** Returns what went wrong. Never rejects. */
  #ask(kind: Kind): Promise<string | undefined> {
    const { url, secret, ca } = this.#target;
    const chats = kind === 'chat';
    return new Promise((resolve) => {
      const asked = this.#request(
        `${url}${chats ? '/api/chat' : '/api/version'}`,
        {
          method: chats ? 'POST' : 'GET',
          agent: kind === 'new' ? false : this.#kept,
          ...(ca === undefined ? {} : { ca }),
          headers: { 'x-api-key': secret, ...(chats ? { 'content-type': 'application/json' } : {}) },
        },
        (answer) => {
          answer.on('error', () => done('the answer broke off'));
          answer.on('end', () => done(answer.statusCode === 200 ? undefined : `status ${answer.statusCode}`));
          answer.resume();
        },
      );
      const timer = setTimeout(() => done(`no answer in ${timeoutMs / 1000} s`), timeoutMs);
      const done = (fault: string | undefined): void => {
        clearTimeout(timer);
        if (fault !== undefined) asked.destroy();
        resolve(fault);
      };
      asked.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
      asked.end(chats ? chat : undefined);
    });
  }
}
