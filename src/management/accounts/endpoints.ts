// The endpoints for accounts, for operators and auditors.

import { z } from 'zod';
import { roles } from '../../domain/account.ts';
import { forEachOf } from '../bulk/bulk.ts';
import { bulkResultSchema } from '../bulk/schemas.ts';
import { pageAfter } from '../http/cursor.ts';
import { type AnyCall, type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { linkShownOnce, showLink } from '../people/one-time-links.ts';
import { closeAccount, linkFor } from '../people/people.ts';
import { linkSchema, newLinkSchema } from '../people/schemas.ts';
import { changeAccount, createAccount, requireAccount, showAccount } from './accounts.ts';
import { restoreAccount, suspendAccount } from './bulk.ts';
import { accountChangeSchema, accountSchema, accountsChangeSchema, newAccountSchema } from './schemas.ts';

const read = 'management:read';
const write = 'management:write';

type Asked = Pick<AnyCall, 'store' | 'params' | 'now'>;

const shownAccount = async ({ store, params, now }: Asked): Promise<unknown> =>
  showAccount(store, await requireAccount(store, params['id'] ?? ''), now());

export const accountEndpoints: readonly Endpoint[] = [
  endpoint('listAccounts', 'get /accounts', {
    summary: 'All accounts, oldest first',
    group: 'Accounts',
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({
      ...pageQuery,
      search: z
        .string()
        .max(200)
        .optional()
        .describe('in the names of accounts, and in the names and email addresses of their people; or an id'),
      role: z.enum(roles).optional(),
    }),
    answer: pageOf(accountSchema),
    run: async ({ store, query, now }) =>
      pageAfter(
        query,
        (asked) =>
          store.pageAccounts({
            ...asked,
            ...(query.search === undefined ? {} : { search: query.search }),
            ...(query.role === undefined ? {} : { role: query.role }),
          }),
        (account) => showAccount(store, account, now()),
      ),
  }),
  endpoint('createAccount', 'post /accounts', {
    summary: 'Create an account',
    group: 'Accounts',
    needs: write,
    fresh: ({ body }) => body.role !== undefined && body.role !== 'member',
    boundKeys: ({ body }) => (body.role ?? 'member') === 'member',
    pace: 'change',
    body: newAccountSchema,
    answer: accountSchema,
    creates: true,
    again: async ({ store, now }, id) => showAccount(store, await requireAccount(store, id), now()),
    run: async ({ store, body, author, now }) => {
      const account = await createAccount(store, body.name, body.plan, author, body.role);
      return showAccount(store, account, now());
    },
  }),
  endpoint('getAccount', 'get /accounts/{id}', {
    summary: 'An account, by id or name',
    group: 'Accounts',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: accountSchema,
    run: async ({ store, params, now }) => showAccount(store, await requireAccount(store, params['id'] ?? ''), now()),
  }),
  endpoint('changeAccount', 'patch /accounts/{id}', {
    summary: 'Change the plan or role of an account; a new role ends its sessions',
    group: 'Accounts',
    needs: write,
    fresh: ({ body }) => body.role !== undefined,
    pace: 'change',
    body: accountChangeSchema,
    answer: accountSchema,
    before: shownAccount,
    run: async ({ store, params, body, author, now }) =>
      showAccount(store, await changeAccount(store, params['id'] ?? '', body, author), now()),
  }),
  endpoint('changeAccounts', 'post /accounts/bulk', {
    summary:
      'Change the plan of several accounts, suspend, restore or close them; the answer says what was done to each',
    group: 'Accounts',
    needs: write,
    fresh: ({ body }) => body.action === 'close',
    boundKeys: ({ body }) => body.action === 'close',
    pace: 'bulk',
    atomic: false,
    body: accountsChangeSchema,
    answer: bulkResultSchema,
    run: async ({ body, author, decide }) =>
      forEachOf({ decide }, body.ids, (store, id): Promise<unknown> => {
        switch (body.action) {
          case 'plan':
            return changeAccount(store, id, { plan: body.plan }, author);
          case 'suspend': {
            const endsAt = body.endsAt === null ? null : Date.parse(body.endsAt);
            return suspendAccount(store, id, body.reason, endsAt, author);
          }
          case 'restore':
            return restoreAccount(store, id, author);
          case 'close':
            return closeAccount(store, id, author);
        }
      }),
  }),
  endpoint('createLink', 'post /accounts/{id}/links', {
    summary: 'Create a one-time link: to choose a new password, or to set up an account without a person',
    group: 'Accounts',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: newLinkSchema,
    answer: linkSchema,
    creates: true,
    before: shownAccount,
    ...linkShownOnce,
    run: async ({ params, body, author, ...context }) =>
      showLink(await linkFor(context, params['id'] ?? '', body.purpose, author)),
  }),
  endpoint('closeAccount', 'delete /accounts/{id}', {
    summary:
      'Close an account permanently: revokes its keys and removes its person and texts; usage figures stay in the ledger',
    group: 'Accounts',
    needs: write,
    fresh: 'always',
    boundKeys: 'may',
    pace: 'change',
    before: shownAccount,
    run: async ({ store, params, author }) => {
      await closeAccount(store, params['id'] ?? '', author);
      return undefined;
    },
  }),
];
