// The endpoints for plans, and the preview of a call.

import { reasonIn } from '../../domain/error-japanese.ts';
import { allowanceOf, requireAccount } from '../accounts/accounts.ts';
import { Fault } from '../fault.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import { requireKey } from '../keys/keys.ts';
import { changePlan, createPlan, deletePlan, requirePlan, showLimit, showPlan } from './plans.ts';
import { newPlanSchema, planChangeSchema, planSchema, previewQuestionSchema, previewSchema } from './schemas.ts';

const read = 'management:read';
const write = 'management:write';

export const planEndpoints: readonly Endpoint[] = [
  endpoint('listPlans', 'get /plans', {
    summary: 'All plans',
    group: 'Plans',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(planSchema),
    run: async ({ store }) => ({
      items: (await store.listPlans()).map((plan) => showPlan(plan)),
      next: null,
    }),
  }),
  endpoint('createPlan', 'post /plans', {
    summary: 'Create a plan; omitted terms are unlimited, or copied from the plan in like',
    group: 'Plans',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: newPlanSchema,
    answer: planSchema,
    creates: true,
    again: async ({ store }, name) => showPlan(await requirePlan(store, name)),
    run: async ({ store, body, author }) => {
      const { name, like, ...terms } = body as { name: string; like?: string } & Record<string, unknown>;
      return showPlan(await createPlan(store, name, terms, like, author));
    },
  }),
  endpoint('getPlan', 'get /plans/{name}', {
    summary: 'Every term of a plan',
    group: 'Plans',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: planSchema,
    run: async ({ store, params }) => showPlan(await requirePlan(store, params['name'] ?? '')),
  }),
  endpoint('changePlan', 'patch /plans/{name}', {
    summary: 'Change terms of a plan; takes effect within a second',
    group: 'Plans',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: planChangeSchema,
    answer: planSchema,
    before: async ({ store, params }) => showPlan(await requirePlan(store, params['name'] ?? '')),
    run: async ({ store, params, body, author }) =>
      showPlan(await changePlan(store, params['name'] ?? '', body, author)),
  }),
  endpoint('deletePlan', 'delete /plans/{name}', {
    summary: 'Delete a plan that neither an account nor registration uses',
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

export const previewEndpoints: readonly Endpoint[] = [
  endpoint('foresee', 'post /preview', {
    summary: 'Preview whether a call would be allowed, and why; nothing is called or counted',
    group: 'Plans',
    needs: read,
    fresh: 'never',
    pace: 'look',
    atomic: false,
    body: previewQuestionSchema,
    answer: previewSchema,
    run: async ({ store, body, introspection, language, now }) => {
      const { path, model, promptTokens, maxTokens } = body;
      const key = body.key === undefined ? undefined : await requireKey(store, body.key);
      const named = body.account ?? key?.accountId;
      if ((named === undefined) === (body.plan === undefined)) throw new Fault('preview_of_nothing', {});
      const account = named === undefined ? undefined : await requireAccount(store, named);
      if (key && account && key.accountId !== account.id) throw new Fault('key_of_another_account', {});
      const plan = account ? await allowanceOf(store, account) : await requirePlan(store, body.plan ?? '');
      const suspensions = account ? await store.openSuspensions(account.id, now()) : [];
      const preview = await introspection.preview({
        account,
        plan,
        suspensions,
        key,
        path,
        model,
        promptTokens,
        maxTokens,
      });
      return {
        ...preview,
        reason: reasonIn(language, preview.code, preview.reason),
        changes: [...preview.changes],
        limits: preview.limits.map(showLimit(key?.id ?? null)),
      };
    },
  }),
];
