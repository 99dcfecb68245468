// The rows about who may: accounts and keys, and what a caller may know of himself.
import { z } from 'zod';
import { readKeyId } from '../../domain/api-key.ts';
import { createAccount, requireAccount, setPlan, showAccount } from '../accounts.ts';
import { createKey, type NewKey, requireKey, revokeKey, revokeLeaked, rotateKey, showKey } from '../keys.ts';
import { showPlan } from '../plans.ts';
import { pageAfter } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import * as shapes from './shapes.ts';
import { keyOf, planOf } from './shown.ts';

const { pageOf, pageQuery } = shapes;
const read = 'management:read';
const write = 'management:write';
const page = z.strictObject(pageQuery);

export const status: readonly Endpoint[] = [
  endpoint('getStatus', 'get /status', {
    summary: 'What runs and waits now, and which model servers answer',
    group: 'Status',
    needs: read,
    answer: shapes.statusShape,
    run: ({ live }) => {
      const { accepting, running, queues, upstreams } = live();
      return Promise.resolve({ accepting, running, queues: [...queues], upstreams: [...upstreams] });
    },
  }),
  endpoint('getSelf', 'get /me', {
    summary: 'The key that asks, its account and its plan',
    group: 'Status',
    needs: 'key',
    answer: shapes.selfShape,
    run: async ({ store, caller, now }) => ({
      key: keyOf(showKey(await requireKey(store, caller.key.id))),
      account: await showAccount(store, caller.account, now()),
      plan: caller.plan ? planOf(showPlan(caller.plan)) : null,
    }),
  }),
];

export const accounts: readonly Endpoint[] = [
  endpoint('listAccounts', 'get /accounts', {
    summary: 'All accounts, oldest first',
    group: 'Accounts',
    needs: read,
    query: page,
    answer: pageOf(shapes.accountShape),
    run: async ({ store, query, now }) =>
      pageAfter(
        query,
        (asked) => store.pageAccounts(asked),
        (account) => showAccount(store, account, now()),
      ),
  }),
  endpoint('createAccount', 'post /accounts', {
    summary: 'Make an account',
    group: 'Accounts',
    needs: write,
    body: shapes.newAccount,
    answer: shapes.accountShape,
    creates: true,
    again: async ({ store, now }, id) => showAccount(store, await requireAccount(store, id), now()),
    run: async ({ store, body, author, now }) =>
      showAccount(store, await createAccount(store, body.name, body.plan, author), now()),
  }),
  endpoint('getAccount', 'get /accounts/{id}', {
    summary: 'An account, by id or name',
    group: 'Accounts',
    needs: read,
    answer: shapes.accountShape,
    run: async ({ store, params, now }) => showAccount(store, await requireAccount(store, params['id'] ?? ''), now()),
  }),
  endpoint('changeAccount', 'patch /accounts/{id}', {
    summary: 'Give an account another plan',
    group: 'Accounts',
    needs: write,
    body: shapes.accountChange,
    answer: shapes.accountShape,
    before: async ({ store, params, now }) =>
      showAccount(store, await requireAccount(store, params['id'] ?? ''), now()),
    run: async ({ store, params, body, author, now }) =>
      showAccount(store, await setPlan(store, params['id'] ?? '', body.plan, author), now()),
  }),
];

export const keys: readonly Endpoint[] = [
  endpoint('listKeys', 'get /keys', {
    summary: 'Keys, oldest first; of one account where it is named',
    group: 'Keys',
    needs: read,
    query: z.strictObject({ ...pageQuery, account: z.string().max(200).optional() }),
    answer: pageOf(shapes.keyShape),
    run: async ({ store, query }) => {
      const account = query.account === undefined ? undefined : await requireAccount(store, query.account);
      const of = account ? { accountId: account.id } : {};
      return pageAfter(
        query,
        (asked) => store.pageKeys({ ...asked, ...of }),
        (key) => Promise.resolve(keyOf(showKey(key))),
      );
    },
  }),
  endpoint('createKey', 'post /keys', {
    summary: 'Issue a key; its secret is in this answer and nowhere else',
    group: 'Keys',
    needs: write,
    body: shapes.newKey,
    answer: shapes.keyWithSecret,
    creates: true,
    again: async ({ store }, id) => keyOf(showKey(await requireKey(store, id))),
    run: async ({ store, body, author }) => {
      const { expiresAt, account, ...rest } = body;
      const owner = await requireAccount(store, account);
      const expires = expiresAt === undefined ? null : Date.parse(expiresAt);
      const asked = { ...rest, account: owner.name, expiresAt: expires } as NewKey;
      const { key, secret } = await createKey(store, asked, author);
      return { ...keyOf(showKey(key)), ...(secret ? { secret: secret.reveal() } : {}) };
    },
  }),
  endpoint('getKey', 'get /keys/{id}', {
    summary: 'Everything about a key but its secret',
    group: 'Keys',
    needs: read,
    answer: shapes.keyShape,
    run: async ({ store, params }) => keyOf(showKey(await requireKey(store, params['id'] ?? ''))),
  }),
  endpoint('rotateKey', 'post /keys/{id}/rotate', {
    summary: 'A new secret with the same rights; for a while both work',
    group: 'Keys',
    needs: write,
    body: shapes.rotation,
    answer: shapes.keyWithSecret,
    creates: true,
    again: async ({ store }, id) => keyOf(showKey(await requireKey(store, id))),
    run: async ({ store, params, body, author }) => {
      const { key, secret } = await rotateKey(store, params['id'] ?? '', body.graceSeconds * 1000, author);
      return { ...keyOf(showKey(key)), ...(secret ? { secret: secret.reveal() } : {}) };
    },
  }),
  endpoint('revokeKey', 'post /keys/{id}/revoke', {
    summary: 'End a key now, and whatever it is running',
    group: 'Keys',
    needs: write,
    answer: shapes.keyShape,
    run: async ({ store, params, author }) => keyOf(showKey(await revokeKey(store, params['id'] ?? '', author))),
  }),
  endpoint('reportLeak', 'post /leaks', {
    summary: 'Whoever found a key sends it here: it is revoked, and nothing is said about it',
    group: 'Keys',
    needs: 'nothing',
    body: shapes.leak,
    run: async ({ store, body, author }) => {
      const id = readKeyId(body.secret.trim());
      if (id) await revokeLeaked(store, id, body.secret.trim(), author);
      return undefined;
    },
  }),
];
