// The endpoints for published services.
import type { StoredRoute } from '../../domain/stored-route.ts';
import { type Endpoint, endpoint, type RequestContext } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import { versionTag } from '../http/version-tag.ts';
import { changeRoute, createRoute, deleteRoute, requireRoute, showFixedRoute, showRoute } from './routes.ts';
import { newRouteSchema, routeChangeSchema, routeSchema } from './schemas.ts';

const read = 'management:read';
const write = 'management:write';
const group = 'Services';

const show = (route: StoredRoute, { routes }: Pick<RequestContext, 'routes'>) =>
  showRoute(route, routes.statusOf(route.id));

const before: Endpoint['before'] = async ({ store, params }) =>
  versionTag(await requireRoute(store, params['id'] ?? ''));

export const routeEndpoints: readonly Endpoint[] = [
  endpoint('listRoutes', 'get /routes', {
    summary: 'The published services with their state: those of the routes file, then the others by name',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(routeSchema),
    run: async (context) => ({
      items: [
        ...context.routes.fixed().map(({ route, status }) => showFixedRoute(route, status)),
        ...(await context.store.listRoutes()).map((route) => show(route, context)),
      ],
      next: null,
    }),
  }),
  endpoint('createRoute', 'post /routes', {
    summary: 'Publish a service; it gets calls within a second',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: newRouteSchema,
    answer: routeSchema,
    creates: true,
    tag: versionTag,
    again: async (context, id) => show(await requireRoute(context.store, id), context),
    run: async (context) => {
      const { store, body, routeRules, author } = context;
      return show(await createRoute(store, body, routeRules(), author), context);
    },
  }),
  endpoint('getRoute', 'get /routes/{id}', {
    summary: 'A published service that was added, by id or name',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: routeSchema,
    tag: versionTag,
    run: async (context) => show(await requireRoute(context.store, context.params['id'] ?? ''), context),
  }),
  endpoint('changeRoute', 'patch /routes/{id}', {
    summary: 'Change a published service; running calls continue unchanged',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: routeChangeSchema,
    answer: routeSchema,
    tag: versionTag,
    before,
    run: async (context) => {
      const { store, params, body, routeRules, author } = context;
      return show(await changeRoute(store, params['id'] ?? '', body, routeRules(), author), context);
    },
  }),
  endpoint('deleteRoute', 'delete /routes/{id}', {
    summary: 'Stop publishing a service; its running calls may continue for server_drain_seconds',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    before,
    run: async ({ store, params, author }) => {
      await deleteRoute(store, params['id'] ?? '', author);
      return undefined;
    },
  }),
];
