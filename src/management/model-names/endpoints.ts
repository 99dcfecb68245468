// The endpoints for model names.
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import { changeModelName, createModelName, deleteModelName, requireModelName, showModelName } from './model-names.ts';
import { modelNameChangeSchema, modelNameSchema, newModelNameSchema } from './schemas.ts';

const read = 'management:read';
const write = 'management:write';
const group = 'Model names';

const before: Endpoint['before'] = async ({ store, params }) =>
  showModelName(await requireModelName(store, params['id'] ?? ''));

export const modelNameEndpoints: readonly Endpoint[] = [
  endpoint('listModelNames', 'get /model-names', {
    summary: 'Aliases, and models with fallbacks, by name',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(modelNameSchema),
    run: async ({ store }) => ({ items: (await store.listModelNames()).map(showModelName), next: null }),
  }),
  endpoint('createModelName', 'post /model-names', {
    summary: 'Add an alias, or fallbacks for a model; takes effect within a second',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: newModelNameSchema,
    answer: modelNameSchema,
    creates: true,
    again: async ({ store }, id) => showModelName(await requireModelName(store, id)),
    run: async ({ store, body, author }) => showModelName(await createModelName(store, body, author)),
  }),
  endpoint('getModelName', 'get /model-names/{id}', {
    summary: 'A model name, by id or name',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: modelNameSchema,
    run: async ({ store, params }) => showModelName(await requireModelName(store, params['id'] ?? '')),
  }),
  endpoint('changeModelName', 'patch /model-names/{id}', {
    summary: 'Change a model name or its fallbacks; running calls keep their model',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: modelNameChangeSchema,
    answer: modelNameSchema,
    before,
    run: async ({ store, params, body, author }) =>
      showModelName(await changeModelName(store, params['id'] ?? '', body, author)),
  }),
  endpoint('deleteModelName', 'delete /model-names/{id}', {
    summary: 'Remove a model name; the models themselves stay',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    before,
    run: async ({ store, params, author }) => {
      await deleteModelName(store, params['id'] ?? '', author);
      return undefined;
    },
  }),
];
