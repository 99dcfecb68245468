// The rows of the models on the model servers: what there is and what is loaded, details, unloading, and pulls, which the gateway
// goes on with when nobody looks at them.
import { z } from 'zod';
import { auditEvent } from '../../domain/audit.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import { insertPulls, listPulls, requirePull, showPulls } from './models.ts';
import {
  modelDescriptionSchema,
  modelOnServer,
  newPullSchema,
  pullSchema,
  serverModelsSchema,
  unloadSchema,
} from './schemas.ts';

const group = 'Models';
const read = 'management:read';
const write = 'management:write';
const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

export const modelEndpoints: readonly Endpoint[] = [
  endpoint('listModels', 'get /models', {
    summary: 'The models of each server, with what is in memory, how large it is there, and until when',
    group,
    needs: read,
    fresh: 'never',
    pace: 'sum',
    answer: pageOf(serverModelsSchema),
    run: async ({ models }) => ({
      items: (await models.list()).map((server) => ({
        ...server,
        models: server.models.map((model) => ({
          ...model,
          changedAt: time(model.changedAt),
          loaded: model.loaded && { ...model.loaded, until: time(model.loaded.until) },
        })),
      })),
      next: null,
    }),
  }),
  endpoint('describeModel', 'get /models/details', {
    summary: 'What a server says about one of its models',
    group,
    needs: read,
    fresh: 'never',
    pace: 'sum',
    query: z.strictObject(modelOnServer),
    answer: modelDescriptionSchema,
    run: async ({ models, query: { server, model } }) => {
      const { capabilities, ...rest } = await models.describe(server, model);
      return { ...rest, capabilities: [...capabilities] };
    },
  }),
  endpoint('unloadModel', 'post /models/unload', {
    summary: 'Take a model out of the memory of a server; the next call for it loads it again',
    group,
    needs: write,
    fresh: 'never',
    pace: 'change',
    atomic: false,
    body: unloadSchema,
    run: async ({ models, body: { server, model }, author, decide }) => {
      const event = auditEvent(author, 'model.unload', model, null, { server });
      await models.unload(server, model, () => decide((store) => store.insertAudit(event)));
      return undefined;
    },
  }),
  endpoint('listPulls', 'get /pulls', {
    summary: 'Pulls that run, with their progress, and those of the last seven days',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(pullSchema),
    run: async ({ store, models }) => ({ items: await listPulls(store, await models.progress()), next: null }),
  }),
  endpoint('startPulls', 'post /pulls', {
    summary: 'Pull a model to servers; the gateway goes on with it until it ends or is canceled',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    atomic: false,
    body: newPullSchema,
    answer: pageOf(pullSchema),
    run: async ({ store, models, body, author, decide }) => {
      const pulls = await models.pull({ ...body, author }, (made) =>
        decide((within) => insertPulls(within, made, author)),
      );
      return { items: await showPulls(store, pulls), next: null };
    },
  }),
  endpoint('cancelPull', 'post /pulls/{id}/cancel', {
    summary: 'End a pull; what the server has fetched of it is used by the next',
    group,
    needs: write,
    fresh: 'never',
    boundKeys: 'may',
    pace: 'change',
    atomic: false,
    answer: pullSchema,
    before: ({ store, params }) => requirePull(store, params['id'] ?? ''),
    run: async ({ store, models, params, author, decide }) => {
      const id = params['id'] ?? '';
      await decide((within) => requirePull(within, id));
      await models.cancelPull(id, author);
      return requirePull(store, id);
    },
  }),
];
