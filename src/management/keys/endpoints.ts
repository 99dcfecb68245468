// The endpoints for API keys, for operators and auditors, and the report of a leaked key.

import { z } from 'zod';
import { readKeyId } from '../../domain/api-key.ts';
import { isPowerful } from '../../domain/scope.ts';
import { requireAccount } from '../accounts/accounts.ts';
import { forEachOf } from '../bulk/bulk.ts';
import { bulkResultSchema } from '../bulk/schemas.ts';
import { makerOf } from '../http/authenticate.ts';
import { pageAfter } from '../http/cursor.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { withAccountNames } from '../names.ts';
import type { AskedKey } from './key-rules.ts';
import {
  changeKey,
  createKeyFor,
  keyChangeOf,
  keyTag,
  requireKey,
  revokeKey,
  revokeLeaked,
  rotateKey,
  showCreatedKey,
  showKey,
} from './keys.ts';
import {
  keyChangeSchema,
  keyRowSchema,
  keySchema,
  keysChangeSchema,
  keyWithSecretSchema,
  leakSchema,
  newKeySchema,
  rotationSchema,
} from './schemas.ts';

const read = 'management:read';
const write = 'management:write';

export const keyEndpoints: readonly Endpoint[] = [
  endpoint('listKeys', 'get /keys', {
    summary: 'Keys, oldest first; of one account if it is given',
    group: 'Keys',
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({
      ...pageQuery,
      account: z.string().max(200).optional(),
      search: z.string().max(200).optional().describe('in the names of keys, accounts and people, or an id'),
    }),
    answer: pageOf(keyRowSchema),
    run: async ({ store, query }) => {
      const account = query.account === undefined ? undefined : await requireAccount(store, query.account);
      const of = {
        ...(account ? { accountId: account.id } : {}),
        ...(query.search === undefined ? {} : { search: query.search }),
      };
      const { items, next } = await pageAfter(
        query,
        (asked) => store.pageKeys({ ...asked, ...of }),
        (key) => Promise.resolve(showKey(key)),
      );
      return { items: await withAccountNames(store, items), next };
    },
  }),
  endpoint('createKey', 'post /keys', {
    summary: 'Create a key; only this answer contains its secret',
    group: 'Keys',
    needs: write,
    fresh: ({ body }) => isPowerful(body.scopes),
    boundKeys: 'may',
    pace: 'change',
    body: newKeySchema,
    answer: keyWithSecretSchema,
    creates: true,
    again: async ({ store }, id) => showKey(await requireKey(store, id)),
    run: async ({ store, body, author, caller }) => {
      const { expiresAt, account, ...rest } = body;
      const owner = await requireAccount(store, account);
      const expires = expiresAt === undefined ? null : Date.parse(expiresAt);
      const asked = { ...rest, expiresAt: expires } as AskedKey;
      return showCreatedKey(await createKeyFor(store, owner.id, asked, author, makerOf(caller)));
    },
  }),
  endpoint('getKey', 'get /keys/{id}', {
    summary: 'A key, without its secret',
    group: 'Keys',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: keySchema,
    tag: keyTag,
    run: async ({ store, params }) => showKey(await requireKey(store, params['id'] ?? '')),
  }),
  endpoint('rotateKey', 'post /keys/{id}/rotate', {
    summary: 'Create a new secret with the same rights; both work for a while',
    group: 'Keys',
    needs: write,
    fresh: async ({ store, params }) => isPowerful((await requireKey(store, params['id'] ?? '')).scopes),
    boundKeys: 'may',
    pace: 'change',
    body: rotationSchema,
    answer: keyWithSecretSchema,
    creates: true,
    again: async ({ store }, id) => showKey(await requireKey(store, id)),
    before: async ({ store, params }) => keyTag(showKey(await requireKey(store, params['id'] ?? ''))),
    run: async ({ store, params, body, author, caller }) =>
      showCreatedKey(await rotateKey(store, params['id'] ?? '', body.graceSeconds * 1000, author, makerOf(caller))),
  }),
  endpoint('changeKey', 'patch /keys/{id}', {
    summary: 'Change the name or rights of a key; its secret stays',
    group: 'Keys',
    needs: write,
    fresh: async ({ store, params, body }) =>
      isPowerful(body.scopes) || isPowerful((await requireKey(store, params['id'] ?? '')).scopes),
    boundKeys: 'may',
    pace: 'change',
    body: keyChangeSchema,
    answer: keySchema,
    tag: keyTag,
    before: async ({ store, params }) => keyTag(showKey(await requireKey(store, params['id'] ?? ''))),
    run: async ({ store, params, body, author, caller }) => {
      const made = await changeKey(store, params['id'] ?? '', keyChangeOf(body), author, makerOf(caller));
      return showKey(made);
    },
  }),
  endpoint('revokeKey', 'post /keys/{id}/revoke', {
    summary: 'Revoke a key, and end its running calls',
    group: 'Keys',
    needs: write,
    fresh: 'never',
    boundKeys: 'may',
    pace: 'change',
    answer: keySchema,
    tag: keyTag,
    before: async ({ store, params }) => keyTag(showKey(await requireKey(store, params['id'] ?? ''))),
    run: async ({ store, params, author }) => showKey(await revokeKey(store, params['id'] ?? '', author)),
  }),
  endpoint('changeKeys', 'post /keys/bulk', {
    summary: 'Revoke several keys; the answer says what was done to each',
    group: 'Keys',
    needs: write,
    fresh: 'never',
    boundKeys: 'may',
    pace: 'bulk',
    atomic: false,
    body: keysChangeSchema,
    answer: bulkResultSchema,
    run: async ({ body, author, decide }) =>
      forEachOf({ decide }, body.ids, (store, id) => revokeKey(store, id, author)),
  }),
  endpoint('reportLeak', 'post /leaks', {
    summary: 'Report a leaked key: it is revoked; the answer is always the same',
    group: 'Keys',
    needs: 'nothing',
    fresh: 'never',
    pace: 'door',
    body: leakSchema,
    run: async ({ store, body, author }) => {
      const id = readKeyId(body.secret.trim());
      if (id) await revokeLeaked(store, id, body.secret.trim(), author);
      return undefined;
    },
  }),
];
