// The endpoints for suspensions: steps of the ladder, appeals and their answers.

import { z } from 'zod';
import { requireAccount } from '../accounts/accounts.ts';
import { Fault } from '../fault.ts';
import { pageBefore } from '../http/cursor.ts';
import { type AnyCall, type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { answerSchema, appealSchema, newSuspensionSchema, suspensionRowSchema, suspensionSchema } from './schemas.ts';
import { answer, appeal, lift, nameSuspensions, requireSuspension, showSuspension, suspend } from './suspensions.ts';

const read = 'management:read';
const write = 'management:write';
const at = (text: string): number => Date.parse(text);

const shownStep = async ({ store, params }: Pick<AnyCall, 'store' | 'params'>) =>
  showSuspension(await requireSuspension(store, params['id'] ?? ''));

export const suspensionEndpoints: readonly Endpoint[] = [
  endpoint('listSuspensions', 'get /suspensions', {
    summary: 'Suspensions, newest first; of one account if it is given',
    group: 'Ladder',
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({ ...pageQuery, account: z.string().max(200).optional() }),
    answer: pageOf(suspensionRowSchema),
    run: async ({ store, query }) => {
      const of = query.account === undefined ? {} : { accountId: (await requireAccount(store, query.account)).id };
      const { items, next } = await pageBefore(
        query,
        (asked) => store.listSuspensions({ ...asked, ...of }),
        (step) => showSuspension(step),
      );
      return { items: await nameSuspensions(store, items), next };
    },
  }),
  endpoint('createSuspension', 'post /suspensions', {
    summary: 'Restrict an account or key',
    group: 'Ladder',
    needs: write,
    fresh: 'never',
    boundKeys: 'may',
    pace: 'change',
    body: newSuspensionSchema,
    answer: suspensionSchema,
    creates: true,
    again: async ({ store }, id) => showSuspension(await requireSuspension(store, id)),
    run: async ({ store, body, author }) => {
      const endsAt = body.endsAt === null ? null : at(body.endsAt);
      return showSuspension(await suspend(store, { ...body, endsAt }, author));
    },
  }),
  endpoint('getSuspension', 'get /suspensions/{id}', {
    summary: 'A suspension with its evidence, appeal and answer',
    group: 'Ladder',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: suspensionSchema,
    run: async ({ store, params }) => showSuspension(await requireSuspension(store, params['id'] ?? '')),
  }),
  endpoint('liftSuspension', 'post /suspensions/{id}/lift', {
    summary: 'Lift a suspension',
    group: 'Ladder',
    needs: write,
    fresh: 'never',
    pace: 'change',
    answer: suspensionSchema,
    before: shownStep,
    run: async ({ store, params, author }) => showSuspension(await lift(store, params['id'] ?? '', author)),
  }),
  endpoint('appealSuspension', 'post /suspensions/{id}/appeal', {
    summary: 'Appeal against a suspension, with any key of the account, even a suspended one',
    group: 'Ladder',
    needs: 'self',
    fresh: 'never',
    pace: 'change',
    body: appealSchema,
    answer: suspensionSchema,
    run: async ({ store, params, body, caller, author }) => {
      const id = params['id'] ?? '';
      const step = await requireSuspension(store, id);
      const entitled = step.accountId === caller.account?.id || caller.writes;
      // The caller must not learn whether suspensions of others exist.
      if (!entitled) throw new Fault('suspension_missing', { id }, 'not_found');
      return showSuspension(await appeal(store, id, body.text, author));
    },
  }),
  endpoint('answerAppeal', 'post /suspensions/{id}/answer', {
    summary: 'Answer an appeal, and lift the suspension if it is granted',
    group: 'Ladder',
    needs: write,
    fresh: 'never',
    boundKeys: ({ body }) => !body.lift,
    pace: 'change',
    body: answerSchema,
    answer: suspensionSchema,
    before: shownStep,
    run: async ({ store, params, body, author }) =>
      showSuspension(await answer(store, params['id'] ?? '', body.text, body.lift, author)),
  }),
];
