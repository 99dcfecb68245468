// The schemas of published services. They only check types; the function that reads the routes file also checks the values.
import { z } from 'zod';
import { credentialWays, serviceMethods } from '../../domain/service-route.ts';
import { id, scope, text, time, timeOrNull } from '../http/fields.ts';
import { saidShape } from '../http/said-shape.ts';

const names = z.array(text(500)).max(100);
const seconds = z.int().min(1);
const file = text(200).describe('name of a file in the directory of server_files');

const options = {
  path: text(200).describe('the prefix of its addresses; or hostName'),
  hostName: text(253).describe('a host name that has every path'),
  upstreams: z.array(text(500)).min(1).max(16).describe('addresses of equal servers'),
  strip: z.boolean(),
  methods: z.array(z.enum(serviceMethods)),
  scope,
  credential: z.array(z.enum(credentialWays)),
  headers: z.strictObject({ request: names.optional(), response: names.optional() }),
  host: text(260).describe('what the service sees as Host'),
  bodyBytes: z.int().min(0),
  timeouts: z.strictObject({ connect: seconds, head: seconds, idle: seconds, total: seconds.nullable() }).partial(),
  websocket: z
    .strictObject({
      origins: names,
      maxFrameBytes: z.int().min(1),
      idle: seconds,
      maxSeconds: seconds,
      perKey: seconds.nullable(),
    })
    .partial(),
  mcp: z
    .strictObject({
      tools: z.array(text(300)).max(500),
      issuer: text(500).describe('an authorization server whose access tokens are accepted'),
      subjects: z.array(text(500)).max(10_000).describe('accounts of its subjects, such as auth0|5f7c=alice'),
    })
    .partial()
    .describe('an MCP server, and its tools that callers may use'),
  cookies: names,
  redirects: z.enum(['rewrite', 'refuse']),
  cost: z
    .strictObject({
      unit: text(30),
      fixed: z.int().min(0),
      tools: z.array(text(150)).max(500).describe('for an MCP server: tools with another cost, such as search=5'),
      perSecond: z.int().min(1),
      header: text(64),
      cap: z.int().min(1),
    })
    .partial()
    .describe('fixed, perSecond, or header with cap'),
  concurrent: z.int().min(1),
  slots: z.int().min(1),
  tls: z
    .strictObject({ caFile: file.nullable(), certificateFile: file.nullable(), keyFile: file.nullable() })
    .partial(),
  secretFile: file.describe('the credential for the service: a key, or header lines'),
  healthPath: text(500),
  cors: names,
  recordPath: z.enum(['no', 'template']),
};

const name = text(40).describe('lowercase letters, digits and hyphens');

const { upstreams, ...others } = options;

export const newRouteSchema = z
  .strictObject({ name, upstreams })
  .extend(z.strictObject(others).partial().shape)
  .meta({ id: 'NewRoute' });

const nullable = Object.fromEntries(Object.entries(others).map(([option, schema]) => [option, schema.nullable()]));

export const routeChangeSchema = z
  .strictObject({ name, upstreams, ...nullable })
  .partial()
  .describe('null restores the default of an option')
  .meta({ id: 'RouteChange' });

export const routeSchema = z
  .strictObject({
    id: id('rte').nullable().describe('null: it is in the routes file and cannot be changed here'),
    name: z.string(),
    fixed: z.boolean().describe('in the routes file'),
    options: z.record(z.string(), z.unknown()).describe('all options, including defaults'),
    createdAt: timeOrNull,
    changedAt: timeOrNull,
    version: z.int().nullable(),
    state: z.enum(['published', 'unusable', 'unknown']).describe('unknown: this gateway has not loaded it yet'),
    reason: z.string().nullable().describe('why it is not published'),
    said: z
      .strictObject(saidShape)
      .nullable()
      .describe('the same as a reason with its values, if it is one of the API'),
    servers: z.array(
      z.strictObject({
        address: z.string(),
        state: z.enum(['unknown', 'up', 'doubtful', 'down']),
        since: time,
        reason: z.string().nullable(),
        inFlight: z.int().describe('running calls'),
      }),
    ),
  })
  .meta({ id: 'Route' });
