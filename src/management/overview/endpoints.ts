// The endpoints for the current state: running and waiting calls, speeds, accounts, and encryption; once, or as events for an
// open page.

import type { z } from 'zod';
import { Calendar } from '../../domain/calendar.ts';
import type { AccountId } from '../../domain/id.ts';
import type { LoadNow, ServerNow } from '../../domain/introspection.ts';
import { iso } from '../../domain/time.ts';
import { type Endpoint, endpoint, type RequestContext, streamed } from '../http/endpoint.ts';
import { reportUsage } from '../usage/usage-report.ts';
import { addAccounts, namesOf } from './all-gates.ts';
import { certificateWarning, showEncryption } from './encryption.ts';
import { connectionsSchema, encryptionSchema, overviewSchema, statusSchema, waitingSchema } from './schemas.ts';

const read = 'management:read';
const group = 'Status';
type Overview = z.output<typeof overviewSchema>;

export const overviewEndpoints: readonly Endpoint[] = [
  endpoint('getStatus', 'get /status', {
    summary: 'Running and waiting calls, and the state of the model servers',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: statusSchema,
    run: ({ introspection }) => {
      const { accepting, running, queues, upstreams, loads } = introspection.live();
      return Promise.resolve({
        accepting,
        running,
        queues: [...queues],
        upstreams: upstreams.map(showServerNow),
        loads: loads.map(showLoad),
      });
    },
  }),
  endpoint('getEncryption', 'get /encryption', {
    summary: 'The encryption of the gateway: certificates, renewals and errors',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: encryptionSchema,
    run: ({ encryption, now }) => {
      const { exposed, authority } = encryption;
      return Promise.resolve({ ...showEncryption(encryption.now(), now()), exposed, authority: authority() });
    },
  }),
  endpoint('getConnections', 'get /connections', {
    summary: 'The last results of contacting the mail server and the sign-in providers',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: connectionsSchema,
    run: ({ connections, mailer, signIn }) => {
      const look = (name: string) => {
        const { at, ...state } = connections.look(name);
        return { ...state, at: iso(at) };
      };
      return Promise.resolve({
        mail: mailer.delivers ? look('mail') : null,
        providers: signIn.providers.map(({ id, name }) => ({ id, name, ...look(`provider:${id}`) })),
      });
    },
  }),
  endpoint('getWaiting', 'get /waiting', {
    summary: 'How many applications wait for a decision, and how many appeals for an answer',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: waitingSchema,
    run: async ({ store }) => ({ applications: await store.countPending(), appeals: await store.countAppeals() }),
  }),
  endpoint('getOverview', 'get /overview', {
    summary: 'Current calls and speeds by account, top accounts of the day, and refusals of the last hour',
    group,
    needs: read,
    fresh: 'never',
    pace: 'sum',
    answer: overviewSchema,
    run: (context) => lookNow(context, new LedgerFigures(context)),
  }),
  streamed('watch', 'get /events', {
    summary:
      'The same once a second, as server-sent events named overview; ends after an hour, or when the caller may no longer see it',
    group,
    needs: read,
    fresh: 'never',
    pace: 'watch',
    type: 'text/event-stream',
    async *pieces(context, gone) {
      const figures = new LedgerFigures(context);
      const { nowMs } = context;
      const endsAt = nowMs() + hourMs;
      let last = '';
      let lastAt = 0;
      while (!gone.aborted && nowMs() < endsAt) {
        const text = JSON.stringify(await lookNow(context, figures));
        // Periodic comments keep the connection open through proxies.
        if (text !== last || nowMs() - lastAt > 15_000) {
          yield text === last ? ': still here\n\n' : `event: overview\ndata: ${text}\n\n`;
          [last, lastAt] = [text, nowMs()];
        }
        await pause(1_000, gone);
      }
    },
  }),
];

const hourMs = 3_600_000;

function pause(ms: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      gone.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    gone.addEventListener('abort', over);
  });
}

/** Figures that need the ledger are read less often than every second. */
class LedgerFigures {
  readonly #context: Pick<RequestContext, 'store' | 'now' | 'nowMs' | 'timeZone'>;
  readonly #names = new Map<string, string>();
  #figures: Pick<Overview, 'top' | 'applications' | 'appeals'> | undefined;
  #at = 0;

  constructor(context: Pick<RequestContext, 'store' | 'now' | 'nowMs' | 'timeZone'>) {
    this.#context = context;
  }

  async read(): Promise<Pick<Overview, 'top' | 'applications' | 'appeals'>> {
    const { store, now, nowMs, timeZone } = this.#context;
    if (this.#figures && nowMs() - this.#at < 10_000) return this.#figures;
    this.#at = nowMs();
    const today = await reportUsage(store, 'account', new Calendar(timeZone).day(now()).startsAt, now(), timeZone);
    this.#figures = {
      top: today.slice(0, 10).map(({ group: account, name, promptTokens, completionTokens, requests }) => ({
        account,
        name: name ?? account,
        tokens: promptTokens + completionTokens,
        requests,
      })),
      applications: await store.countPending(),
      appeals: await store.countAppeals(),
    };
    return this.#figures;
  }

  async nameOf(account: AccountId): Promise<string> {
    const known = this.#names.get(account);
    if (known !== undefined) return known;
    const name = (await this.#context.store.findAccount(account))?.name ?? account;
    this.#names.set(account, name);
    return name;
  }
}

const showServerNow = ({ since, ...rest }: ServerNow): Overview['upstreams'][number] => ({
  ...rest,
  since: new Date(since).toISOString(),
});

const showLoad = ({ since, ...rest }: LoadNow): Overview['loads'][number] => ({
  ...rest,
  since: since === null ? null : new Date(since).toISOString(),
});

async function lookNow(
  { introspection, encryption, now }: Pick<RequestContext, 'introspection' | 'encryption' | 'now'>,
  figures: LedgerFigures,
): Promise<Overview> {
  const { accepting, running, queues, upstreams, loads } = introspection.live();
  const { accounts: here, refusals, recent } = introspection.overview();
  const others = await introspection.others();
  const names = namesOf(others);
  const accounts = addAccounts(here, others);
  const named = await Promise.all(
    accounts.map(async (each) => ({ ...each, name: await figures.nameOf(each.account) })),
  );
  const speed = accounts.reduce((sum, { tokensPerSecond }) => sum + tokensPerSecond, 0);
  return {
    accepting,
    running: others.reduce((sum, gate) => sum + gate.running, running),
    gates: others.map((gate, at) => ({ name: names[at] as string, running: gate.running })),
    waiting: queues.reduce((sum, { waiting }) => sum + waiting, 0),
    accounts: named,
    tokensPerSecond: Math.round(speed * 10) / 10,
    upstreams: upstreams.map(showServerNow),
    loads: loads.map(showLoad),
    queues: [...queues],
    refusals: [...refusals],
    recent: others.reduce((sum, gate) => sum + gate.recent, recent),
    encryption: certificateWarning(encryption.now(), now()),
    ...(await figures.read()),
  };
}
