// The endpoints for model servers.
import { z } from 'zod';
import { parseModelName } from '../../domain/model-name.ts';
import type { ModelServer } from '../../domain/model-server.ts';
import { Fault } from '../fault.ts';
import { type Endpoint, endpoint, type RequestContext } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import { versionTag } from '../http/version-tag.ts';
import { estimateSchema, newServerSchema, serverChangeSchema, serverSchema } from './schemas.ts';
import { changeServer, createServer, deleteServer, requireServer, showFixedServer, showServer } from './servers.ts';

const read = 'management:read';
const write = 'management:write';
const group = 'Model servers';

const show = (server: ModelServer, { servers }: Pick<RequestContext, 'servers'>) =>
  showServer(server, servers.statusOf(server.id));

const before: Endpoint['before'] = async ({ store, params }) =>
  versionTag(await requireServer(store, params['id'] ?? ''));

export const serverEndpoints: readonly Endpoint[] = [
  endpoint('listServers', 'get /servers', {
    summary: 'All model servers with their state: those of the settings, then the others by name',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(serverSchema),
    run: async (context) => {
      const { store, servers } = context;
      const stored = await store.listServers();
      return {
        items: [
          ...servers.fixed().map(({ address, status }) => showFixedServer(address, status)),
          ...stored.map((server) => show(server, context)),
          ...servers.leaving().map(({ server, status }) => showServer(server, status)),
        ],
        next: null,
      };
    },
  }),
  endpoint('listEstimates', 'get /estimates', {
    summary: 'The estimates by which the server of a call is chosen: for each server with the model, smallest first',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({ model: z.string().min(1).max(400) }),
    answer: pageOf(estimateSchema),
    run: ({ servers, query }) => {
      const name = parseModelName(query.model);
      if (!name) throw new Fault('model_name_shape_here', { name: query.model });
      return Promise.resolve({ items: [...servers.estimates(name.canonical)], next: null });
    },
  }),
  endpoint('createServer', 'post /servers', {
    summary: 'Add a model server; it gets calls within a second',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: newServerSchema,
    answer: serverSchema,
    creates: true,
    tag: versionTag,
    again: async (context, id) => show(await requireServer(context.store, id), context),
    run: async (context) => {
      const { store, body, serverRules, author } = context;
      return show(await createServer(store, body, serverRules, author), context);
    },
  }),
  endpoint('getServer', 'get /servers/{id}', {
    summary: 'A model server that was added, by id or name',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: serverSchema,
    tag: versionTag,
    run: async (context) => show(await requireServer(context.store, context.params['id'] ?? ''), context),
  }),
  endpoint('changeServer', 'patch /servers/{id}', {
    summary: 'Change a model server, or take it out of service and back; running calls continue',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: serverChangeSchema,
    answer: serverSchema,
    tag: versionTag,
    before,
    run: async (context) => {
      const { store, params, body, serverRules, author } = context;
      return show(await changeServer(store, params['id'] ?? '', body, serverRules, author), context);
    },
  }),
  endpoint('deleteServer', 'delete /servers/{id}', {
    summary: 'Remove a model server; its running calls may continue for server_drain_seconds',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    before,
    run: async ({ store, params, author }) => {
      await deleteServer(store, params['id'] ?? '', author);
      return undefined;
    },
  }),
];
