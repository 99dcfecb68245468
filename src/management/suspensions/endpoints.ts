// The rows about how much: plans, rules, and the steps of the ladder.

import { z } from 'zod';
import { reasonIn } from '../../domain/error-japanese.ts';
import { allowanceOf, requireAccount } from '../accounts/accounts.ts';
import { Fault } from '../fault.ts';
import { pageBefore } from '../http/cursor.ts';
import { type Call, type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { limitOf, planOf, ruleOf, stepOf } from '../http/presenters.ts';
import { requireKey } from '../keys/keys.ts';
import { changePlan, createPlan, deletePlan, requirePlan, showPlan } from '../plans/plans.ts';
import { newPlanSchema, planChangeSchema, planSchema, previewQuestionSchema, previewSchema } from '../plans/schemas.ts';
import { newRuleSchema, ruleChangeSchema, ruleSchema } from '../rules/schemas.ts';
import { answerSchema, appealSchema, newSuspensionSchema, suspensionSchema } from './schemas.ts';
import {
  answer,
  appeal,
  changeRule,
  createRule,
  deleteRule,
  lift,
  requireRule,
  requireSuspension,
  showSuspension,
  suspend,
} from './suspensions.ts';

const read = 'management:read';
const write = 'management:write';
const at = (text: string): number => Date.parse(text);

const shownStep = async ({ store, params }: Pick<Call<Record<string, string>, never, never>, 'store' | 'params'>) =>
  showSuspension(await requireSuspension(store, params['id'] ?? ''));

export const plans: readonly Endpoint[] = [
  endpoint('listPlans', 'get /plans', {
    summary: 'All plans',
    group: 'Plans',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(planSchema),
    run: async ({ store }) => ({
      items: (await store.listPlans()).map((plan) => planOf(showPlan(plan))),
      next: null,
    }),
  }),
  endpoint('createPlan', 'post /plans', {
    summary: 'Make a plan; terms that are not given are open, or as in the plan it is like',
    group: 'Plans',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: newPlanSchema,
    answer: planSchema,
    creates: true,
    again: async ({ store }, name) => planOf(showPlan(await requirePlan(store, name))),
    run: async ({ store, body, author }) => {
      const { name, like, ...terms } = body as { name: string; like?: string } & Record<string, unknown>;
      return planOf(showPlan(await createPlan(store, name, terms, like, author)));
    },
  }),
  endpoint('getPlan', 'get /plans/{name}', {
    summary: 'Every term of a plan',
    group: 'Plans',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: planSchema,
    run: async ({ store, params }) => planOf(showPlan(await requirePlan(store, params['name'] ?? ''))),
  }),
  endpoint('changePlan', 'patch /plans/{name}', {
    summary: 'Change terms of a plan; they hold within a second',
    group: 'Plans',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: planChangeSchema,
    answer: planSchema,
    before: async ({ store, params }) => showPlan(await requirePlan(store, params['name'] ?? '')),
    run: async ({ store, params, body, author }) =>
      planOf(showPlan(await changePlan(store, params['name'] ?? '', body, author))),
  }),
  endpoint('deletePlan', 'delete /plans/{name}', {
    summary: 'Delete a plan that nobody has, or would get when let in',
    group: 'Plans',
    needs: write,
    fresh: 'always',
    boundKeys: 'may',
    pace: 'change',
    before: async ({ store, params }) => showPlan(await requirePlan(store, params['name'] ?? '')),
    run: async ({ store, params, author }) => {
      await deletePlan(store, params['name'] ?? '', author);
      return undefined;
    },
  }),
];

export const preview: readonly Endpoint[] = [
  endpoint('foresee', 'post /preview', {
    summary: 'Would this call pass now, and why? Nothing is called, and nothing is counted',
    group: 'Plans',
    needs: read,
    fresh: 'never',
    pace: 'look',
    atomic: false,
    body: previewQuestionSchema,
    answer: previewSchema,
    run: async ({ store, body, outlook, language }) => {
      const { path, model, promptTokens, maxTokens } = body;
      const key = body.key === undefined ? undefined : await requireKey(store, body.key);
      const named = body.account ?? key?.accountId;
      if ((named === undefined) === (body.plan === undefined)) throw new Fault('Name an account, a key or a plan.');
      const account = named === undefined ? undefined : await requireAccount(store, named);
      if (key && account && key.accountId !== account.id) throw new Fault('That key is not of that account.');
      const plan = account ? await allowanceOf(store, account) : await requirePlan(store, body.plan ?? '');
      const suspensions = account ? await store.listSuspensions({ accountId: account.id, limit: 200 }) : [];
      const forecast = await outlook.foresee({ account, plan, suspensions, key, path, model, promptTokens, maxTokens });
      return {
        ...forecast,
        reason: reasonIn(language, forecast.code, forecast.reason),
        changes: [...forecast.changes],
        limits: forecast.limits.map(limitOf(key?.id ?? null)),
      };
    },
  }),
];

export const ladder: readonly Endpoint[] = [
  endpoint('listRules', 'get /rules', {
    summary: 'When a step is taken by itself',
    group: 'Ladder',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(ruleSchema),
    run: async ({ store }) => ({ items: (await store.listRules()).map((rule) => ruleOf(rule)), next: null }),
  }),
  endpoint('createRule', 'post /rules', {
    summary: 'Make a rule',
    group: 'Ladder',
    needs: write,
    fresh: 'always',
    boundKeys: 'may',
    pace: 'change',
    body: newRuleSchema,
    answer: ruleSchema,
    creates: true,
    again: async ({ store }, name) => ruleOf(await requireRule(store, name)),
    run: async ({ store, body, author }) => {
      const { name, ...fields } = body;
      return ruleOf(await createRule(store, name, fields, author));
    },
  }),
  endpoint('changeRule', 'patch /rules/{name}', {
    summary: 'Change a rule; it holds within a second',
    group: 'Ladder',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: ruleChangeSchema,
    answer: ruleSchema,
    before: ({ store, params }) => requireRule(store, params['name'] ?? ''),
    run: async ({ store, params, body, author }) => ruleOf(await changeRule(store, params['name'] ?? '', body, author)),
  }),
  endpoint('deleteRule', 'delete /rules/{name}', {
    summary: 'Delete a rule; steps it has taken stay',
    group: 'Ladder',
    needs: write,
    fresh: 'always',
    pace: 'change',
    before: ({ store, params }) => requireRule(store, params['name'] ?? ''),
    run: async ({ store, params, author }) => {
      await deleteRule(store, params['name'] ?? '', author);
      return undefined;
    },
  }),
  endpoint('listSuspensions', 'get /suspensions', {
    summary: 'Steps that were taken, the newest first; of one account where it is named',
    group: 'Ladder',
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({ ...pageQuery, account: z.string().max(200).optional() }),
    answer: pageOf(suspensionSchema),
    run: async ({ store, query }) => {
      const of = query.account === undefined ? {} : { accountId: (await requireAccount(store, query.account)).id };
      return pageBefore(
        query,
        (asked) => store.listSuspensions({ ...asked, ...of }),
        (step) => stepOf(showSuspension(step)),
      );
    },
  }),
  endpoint('createSuspension', 'post /suspensions', {
    summary: 'Take a step by hand',
    group: 'Ladder',
    needs: write,
    fresh: 'never',
    boundKeys: 'may',
    pace: 'change',
    body: newSuspensionSchema,
    answer: suspensionSchema,
    creates: true,
    again: async ({ store }, id) => stepOf(showSuspension(await requireSuspension(store, id))),
    run: async ({ store, body, author }) => {
      const endsAt = body.endsAt === null ? null : at(body.endsAt);
      return stepOf(showSuspension(await suspend(store, { ...body, endsAt }, author)));
    },
  }),
  endpoint('getSuspension', 'get /suspensions/{id}', {
    summary: 'A step with its evidence, appeal and answer',
    group: 'Ladder',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: suspensionSchema,
    run: async ({ store, params }) => stepOf(showSuspension(await requireSuspension(store, params['id'] ?? ''))),
  }),
  endpoint('liftSuspension', 'post /suspensions/{id}/lift', {
    summary: 'Undo a step now',
    group: 'Ladder',
    needs: write,
    fresh: 'never',
    pace: 'change',
    answer: suspensionSchema,
    before: shownStep,
    run: async ({ store, params, author }) => stepOf(showSuspension(await lift(store, params['id'] ?? '', author))),
  }),
  endpoint('appealSuspension', 'post /suspensions/{id}/appeal', {
    summary: 'What the suspended has to say; any key of the account may, though it is suspended',
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
      // Whether somebody else's is there is nothing that this caller may learn.
      if (!entitled) throw new Fault(`There is no suspension ${id}.`, 'not_found');
      return stepOf(showSuspension(await appeal(store, id, body.text, author)));
    },
  }),
  endpoint('answerAppeal', 'post /suspensions/{id}/answer', {
    summary: 'Answer an appeal, and lift the step where the appeal is right',
    group: 'Ladder',
    needs: write,
    fresh: 'never',
    boundKeys: ({ body }) => !body.lift,
    pace: 'change',
    body: answerSchema,
    answer: suspensionSchema,
    before: shownStep,
    run: async ({ store, params, body, author }) =>
      stepOf(showSuspension(await answer(store, params['id'] ?? '', body.text, body.lift, author))),
  }),
];
