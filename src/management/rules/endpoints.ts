// The endpoints for the ladder's rules.

import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import { changeRule, createRule, deleteRule, requireRule, showRule } from './rules.ts';
import { newRuleSchema, ruleChangeSchema, ruleSchema } from './schemas.ts';

const read = 'management:read';
const write = 'management:write';

export const ruleEndpoints: readonly Endpoint[] = [
  endpoint('listRules', 'get /rules', {
    summary: 'The rules that restrict accounts and keys automatically',
    group: 'Ladder',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(ruleSchema),
    run: async ({ store }) => ({ items: (await store.listRules()).map((rule) => showRule(rule)), next: null }),
  }),
  endpoint('createRule', 'post /rules', {
    summary: 'Create a rule',
    group: 'Ladder',
    needs: write,
    fresh: 'always',
    boundKeys: 'may',
    pace: 'change',
    body: newRuleSchema,
    answer: ruleSchema,
    creates: true,
    again: async ({ store }, name) => showRule(await requireRule(store, name)),
    run: async ({ store, body, author }) => {
      const { name, ...fields } = body;
      return showRule(await createRule(store, name, fields, author));
    },
  }),
  endpoint('changeRule', 'patch /rules/{name}', {
    summary: 'Change a rule; takes effect within a second',
    group: 'Ladder',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: ruleChangeSchema,
    answer: ruleSchema,
    before: ({ store, params }) => requireRule(store, params['name'] ?? ''),
    run: async ({ store, params, body, author }) =>
      showRule(await changeRule(store, params['name'] ?? '', body, author)),
  }),
  endpoint('deleteRule', 'delete /rules/{name}', {
    summary: 'Delete a rule; suspensions that it has made stay in force',
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
];
