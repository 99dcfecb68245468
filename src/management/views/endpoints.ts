// The rows about viewing a member's pages.
import { type AnyCall, type Endpoint, endpoint } from '../http/endpoint.ts';
import { Problem } from '../http/problem.ts';
import { viewSchema } from './schemas.ts';
import { beginView, endView, requireView, showView } from './views.ts';

const group = 'Accounts';
const needs = 'management:write';

const shown = async ({ store, params, caller }: Pick<AnyCall, 'store' | 'params' | 'caller'>) =>
  showView(store, await requireView(store, params['id'] ?? '', caller));

export const viewEndpoints: readonly Endpoint[] = [
  endpoint('createView', 'post /accounts/{id}/views', {
    summary: 'View the pages of a member, read-only, for half an hour; for an operator who is signed in',
    group,
    needs,
    fresh: 'always',
    pace: 'change',
    answer: viewSchema,
    creates: true,
    before: async ({ store, params }) => store.findAccount(params['id'] ?? ''),
    again: async ({ store }, id) => {
      const view = await store.findView(id as Parameters<typeof store.findView>[0]);
      if (!view) throw new Problem('view_over');
      return showView(store, view);
    },
    run: ({ store, params, caller, author }) => beginView(store, params['id'] ?? '', caller, author),
  }),
  endpoint('endView', 'delete /views/{id}', {
    summary: 'Stop viewing the pages of a member',
    group,
    needs,
    fresh: 'never',
    pace: 'change',
    before: shown,
    run: async ({ store, params, caller, author }) => {
      await endView(store, await requireView(store, params['id'] ?? '', caller), author);
      return undefined;
    },
  }),
];
