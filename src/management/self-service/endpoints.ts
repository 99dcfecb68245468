// The endpoints with which people and keys see and change their own data. Only people can create and change keys, because a
// leaked key must not be able to create another.

import { z } from 'zod';
import { pageKeyMs } from '../../domain/api-key.ts';
import type { AccountId } from '../../domain/id.ts';
import { unlimited } from '../../domain/plan.ts';
import { defaultScopes, isPowerful, type Scope } from '../../domain/scope.ts';
import { allowanceOf, showAccount } from '../accounts/accounts.ts';
import { Fault } from '../fault.ts';
import { type Caller, ownAccount, ownPerson } from '../http/authenticate.ts';
import { pageAfter } from '../http/cursor.ts';
import { type AnyCall, type Endpoint, endpoint, streamed } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import type { AskedKey } from '../keys/key-rules.ts';
import {
  changeKey,
  createKeyFor,
  keyChangeOf,
  keyTag,
  requireKey,
  revokeKey,
  rotateKey,
  showCreatedKey,
  showKey,
} from '../keys/keys.ts';
import {
  keySchema,
  keyWithSecretSchema,
  newOwnKeySchema,
  ownKeyChangeSchema,
  pageKeySchema,
  rotationSchema,
} from '../keys/schemas.ts';
import { exportOf } from '../people/export.ts';
import { changePerson, closeAccount, leave, showPerson } from '../people/people.ts';
import { showLimit, showPlan } from '../plans/plans.ts';
import { limitSchema } from '../plans/schemas.ts';
import { suspensionSchema } from '../suspensions/schemas.ts';
import { showSuspension } from '../suspensions/suspensions.ts';
import { exportSchema, modelSchema, operationSchema, personChangeSchema, selfSchema } from './schemas.ts';

const group = 'Oneself';

/** A key of the caller's own account; keys of others do not exist for the caller. @throws Fault. */
async function ownKey({ store, caller, params }: Pick<AnyCall, 'store' | 'caller' | 'params'>) {
  const id = params['id'] ?? '';
  const key = await store.findKey(id as Parameters<typeof store.findKey>[0]);
  if (!key || key.accountId !== ownAccount(caller).id) throw new Fault('key_missing', { id }, 'not_found');
  return key;
}

/** The caller as GET /me shows and If-Match compares them; refused for a person without an account. */
async function self({ store, caller, now }: Pick<AnyCall, 'store' | 'caller' | 'now'>) {
  const account = ownAccount(caller);
  const plan = await allowanceOf(store, account);
  const { person } = caller;
  return {
    person: person ? showPerson(person, (await store.findApplicationOf(person.id))?.email) : null,
    key: caller.key ? showKey(await requireKey(store, caller.key.id)) : null,
    account: await showAccount(store, account, now()),
    plan: plan === unlimited ? null : showPlan(plan),
  };
}

const shownSelf = (call: AnyCall) => (call.caller.account ? self(call) : Promise.resolve(null));

export const selfServiceEndpoints: readonly Endpoint[] = [
  endpoint('getSelf', 'get /me', {
    summary: 'The caller: key or person, account and plan',
    group,
    needs: 'self',
    fresh: 'never',
    pace: 'look',
    inView: true,
    answer: selfSchema,
    run: self,
  }),
  endpoint('changeSelf', 'patch /me', {
    summary: 'Change the caller’s name or language',
    group,
    needs: 'person',
    fresh: 'never',
    pace: 'change',
    body: personChangeSchema,
    before: shownSelf,
    run: async ({ store, caller, body, author }) => {
      await changePerson(store, ownPerson(caller), body, author);
      return undefined;
    },
  }),
  endpoint('leave', 'delete /me', {
    summary:
      'Close the account permanently: revokes its keys and removes its person and texts; usage figures stay in the ledger without a name',
    group,
    needs: 'person',
    fresh: 'always',
    pace: 'change',
    before: shownSelf,
    run: async ({ store, caller, author }) => {
      if (caller.account) await closeAccount(store, caller.account.id, author);
      else await leave(store, ownPerson(caller), author);
      return undefined;
    },
  }),
  streamed('exportSelf', 'get /me/export', {
    summary: 'Everything that is stored about the caller',
    group,
    needs: 'person',
    fresh: 'never',
    pace: 'read',
    answer: exportSchema,
    type: 'application/json',
    pieces: ({ store, caller, timeZone, now }) => exportOf(store, ownPerson(caller), caller.account, timeZone, now()),
  }),
  endpoint('listOwnKeys', 'get /me/keys', {
    summary: 'The keys of the caller’s account, oldest first',
    group,
    needs: 'person',
    fresh: 'never',
    pace: 'look',
    inView: true,
    query: z.strictObject(pageQuery),
    answer: pageOf(keySchema),
    run: ({ store, caller, query }) =>
      pageAfter(
        query,
        (asked) => store.pageKeys({ ...asked, accountId: accountOr(caller) }),
        (key) => Promise.resolve(showKey(key)),
      ),
  }),
  endpoint('createOwnKey', 'post /me/keys', {
    summary: 'Create a key for the caller’s account; only this answer contains its secret',
    group,
    needs: 'person',
    fresh: ({ body }) => isPowerful(body.scopes),
    pace: 'change',
    body: newOwnKeySchema,
    answer: keyWithSecretSchema,
    creates: true,
    again: async ({ store }, id) => showKey(await requireKey(store, id)),
    run: async ({ store, caller, body, author }) => {
      const asked = keyChangeOf(body) as AskedKey;
      return showCreatedKey(await createKeyFor(store, ownAccount(caller).id, asked, author));
    },
  }),
  endpoint('createPageKey', 'post /me/page-keys', {
    summary: 'Create a one-hour key for a page; it is not listed or counted',
    group,
    needs: 'person',
    fresh: ({ body }) => isPowerful(body.scopes),
    pace: 'change',
    body: pageKeySchema,
    answer: keyWithSecretSchema,
    creates: true,
    again: async ({ store }, id) => showKey(await requireKey(store, id)),
    run: async ({ store, caller, body, author }) => {
      const asked = { ...body, expiresAt: author.at + pageKeyMs, ofPage: true } as AskedKey;
      return showCreatedKey(await createKeyFor(store, ownAccount(caller).id, asked, author));
    },
  }),
  endpoint('changeOwnKey', 'patch /me/keys/{id}', {
    summary: 'Change the name or rights of a key of the caller’s account',
    group,
    needs: 'person',
    fresh: async (call) => isPowerful(call.body.scopes) || isPowerful((await ownKey(call)).scopes),
    pace: 'change',
    body: ownKeyChangeSchema,
    answer: keySchema,
    tag: keyTag,
    before: async (call) => keyTag(showKey(await ownKey(call))),
    run: async (call) => {
      const { id } = await ownKey(call);
      return showKey(await changeKey(call.store, id, keyChangeOf(call.body), call.author));
    },
  }),
  endpoint('rotateOwnKey', 'post /me/keys/{id}/rotate', {
    summary: 'Create a new secret with the same rights; both work for a while',
    group,
    needs: 'person',
    fresh: async (call) => isPowerful((await ownKey(call)).scopes),
    pace: 'change',
    body: rotationSchema,
    answer: keyWithSecretSchema,
    creates: true,
    again: async ({ store }, id) => showKey(await requireKey(store, id)),
    before: async (call) => keyTag(showKey(await ownKey(call))),
    run: async (call) => {
      const { id } = await ownKey(call);
      return showCreatedKey(await rotateKey(call.store, id, call.body.graceSeconds * 1000, call.author));
    },
  }),
  endpoint('revokeOwnKey', 'post /me/keys/{id}/revoke', {
    summary: 'Revoke a key of the caller’s account, and end its running calls',
    group,
    needs: 'person',
    fresh: 'never',
    pace: 'change',
    answer: keySchema,
    tag: keyTag,
    before: async (call) => keyTag(showKey(await ownKey(call))),
    run: async (call) => {
      const { id } = await ownKey(call);
      return showKey(await revokeKey(call.store, id, call.author));
    },
  }),
  endpoint('listOwnLimits', 'get /me/limits', {
    summary: 'What is left of each limit of the account and of the calling key',
    group,
    needs: 'self',
    fresh: 'never',
    pace: 'look',
    inView: true,
    answer: pageOf(limitSchema),
    run: async ({ store, caller, introspection, now }) => {
      const account = ownAccount(caller);
      const plan = await allowanceOf(store, account);
      const suspensions = await store.openSuspensions(account.id, now());
      const states = await introspection.limits({ account, plan, suspensions, key: caller.key });
      return { items: states.map(showLimit(caller.key?.id ?? null)), next: null };
    },
  }),
  endpoint('listOwnModels', 'get /me/models', {
    summary: 'The models that the account may use',
    group,
    needs: 'self',
    fresh: 'never',
    pace: 'look',
    inView: true,
    answer: pageOf(modelSchema),
    run: async ({ store, caller, introspection }) => {
      const account = ownAccount(caller);
      const plan = await allowanceOf(store, account);
      const models = await introspection.models({ account, plan, suspensions: [], key: caller.key });
      return { items: models.map(({ name, size }) => ({ name, size })), next: null };
    },
  }),
  endpoint('listOwnOperations', 'get /me/operations', {
    summary: 'The routes for calls of models that a new key of the account may use',
    group,
    needs: 'self',
    fresh: 'never',
    pace: 'look',
    answer: pageOf(operationSchema),
    run: async ({ store, caller, introspection }) => {
      const plan = await allowanceOf(store, ownAccount(caller));
      const allowed = (scope: Scope): boolean =>
        defaultScopes.includes(scope) && (plan === unlimited || plan.scopes.includes(scope));
      const items = introspection.operations
        .filter(({ scope }) => allowed(scope))
        .flatMap(({ methods, ...operation }) => methods.map((method) => ({ ...operation, method })));
      return { items, next: null };
    },
  }),
  endpoint('listOwnSuspensions', 'get /me/suspensions', {
    summary:
      'Suspensions of the account: all that are in force, and the latest ones, newest first, without shadow ones',
    group,
    needs: 'self',
    fresh: 'never',
    pace: 'look',
    inView: true,
    answer: pageOf(suspensionSchema),
    run: async ({ store, caller, now }) => {
      const { id: accountId } = ownAccount(caller);
      const latest = await store.listSuspensions({ accountId, unshadowed: true, limit: 200 });
      const oldest = latest.at(-1)?.id ?? '';
      const open = await store.openSuspensions(accountId, now());
      const older = open.filter(({ id, shadow }) => !shadow && id < oldest).toReversed();
      return { items: [...latest, ...older].map((step) => showSuspension(step)), next: null };
    },
  }),
];

/** A person who waits for an account has no keys. */
const accountOr = ({ account }: Caller): AccountId => account?.id ?? ('acc_none' as AccountId);
