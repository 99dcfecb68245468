// What is answered about the gate at this moment: its queues, model servers and certificates.
import { z } from 'zod';
import { healthStates } from '../../domain/server-status.ts';
import { time, timeOrNull } from '../http/fields.ts';

const serverSchema = z.strictObject({
  name: z.string(),
  up: z.boolean().nullable().describe('null: not probed yet'),
  state: z
    .enum([...healthStates, 'draining'])
    .describe(
      'doubtful: calls have just gone wrong there; loading: it answers that it is loading its model; refused: it does not accept the secret; busy: it asked to be left alone for a while',
    ),
  since: time,
  reason: z.string().nullable().describe('why it does not get all calls; null if there is no reason'),
  kind: z
    .string()
    .nullable()
    .describe('such as ollama or llama-server; openai is any other server with /v1/models; null: not known yet'),
  inFlight: z.int(),
  queue: z
    .strictObject({ running: z.int(), waiting: z.int() })
    .nullable()
    .describe('calls of all its clients, as reported by the server; null if not reported'),
});

const loadSchema = z.strictObject({
  server: z.string(),
  model: z.string(),
  since: timeOrNull.describe('null: another load has to end first'),
  leftMs: z.int().nullable().describe('as expected from earlier loads; null: not known'),
  waiting: z.int().describe('calls'),
});

export const statusSchema = z
  .strictObject({
    accepting: z.boolean(),
    running: z.int().describe('exchanges in progress, including waiting ones'),
    queues: z.array(
      z.strictObject({
        model: z.string(),
        running: z.int(),
        waiting: z.int(),
        accounts: z.int().describe('that wait'),
      }),
    ),
    upstreams: z.array(serverSchema),
    loads: z.array(loadSchema).describe('of models that were not in memory; a server loads one at a time'),
  })
  .meta({ id: 'Status' });

const connectionFields = {
  works: z.boolean().nullable().describe('null: not used since the gateway started'),
  at: timeOrNull.describe('of the last use'),
  problem: z.string().nullable().describe('the message of the other side or of the system'),
};
export const connectionsSchema = z
  .strictObject({
    mail: z.strictObject(connectionFields).nullable().describe('null: the gateway sends no email'),
    providers: z.array(z.strictObject({ id: z.string(), name: z.string(), ...connectionFields })),
  })
  .meta({ id: 'Connections' });

export const certificateSchema = z
  .strictObject({
    names: z.array(z.string()).describe('host names and addresses for which it is valid'),
    issuer: z.string().nullable(),
    notBefore: timeOrNull,
    notAfter: timeOrNull.describe('null, like all other fields: the container cannot be read'),
    daysLeft: z.int().nullable().describe('whole days; below 0: expired'),
    state: z.enum(['fine', 'ends-soon', 'ended']).describe('ends-soon: within 14 days, and not renewed by the gateway'),
    keyType: z.string().nullable().describe('such as EC P-256 or RSA 2048'),
    fingerprint: z.string().nullable().describe('SHA-256'),
  })
  .meta({ id: 'Certificate' });

export const encryptionSchema = z
  .strictObject({
    how: z
      .enum(['off', 'proxy', 'files', 'acme', 'self-signed'])
      .describe('proxy: by a trusted proxy in front; files: from disk; self-signed: by its own certificate authority'),
    exposed: z.boolean().describe('reachable over a network without encryption'),
    authority: z
      .string()
      .nullable()
      .describe('SHA-256 of its own certificate authority, which callers must trust first'),
    clientCertificates: z
      .enum(['none', 'optional', 'required'])
      .describe('whether callers are asked for a client certificate'),
    certificates: z.array(certificateSchema).describe('the current ones; the first is for callers who name no host'),
    provisional: z.boolean().describe('temporary certificates, until a public authority has issued the first one'),
    renewsAt: timeOrNull.describe('when the gateway renews; null: it does not, or there is none yet'),
    problem: z.string().nullable().describe('why the last renewal failed, or the newest files are not used'),
    triesAt: timeOrNull.describe('when it retries; null: when the files change'),
  })
  .meta({ id: 'Encryption' });
const counted = { account: z.string(), name: z.string() };

const waiting = {
  applications: z.int().describe('that wait for a decision'),
  appeals: z.int().describe('that wait for an answer'),
};
export const waitingSchema = z.strictObject(waiting).meta({ id: 'Waiting' });

export const overviewSchema = z
  .strictObject({
    accepting: z.boolean(),
    running: z.int().describe('at all gateways of the database'),
    gates: z
      .array(z.strictObject({ name: z.string(), running: z.int() }))
      .describe('the other gateways of the database, with the calls in progress there; empty if there is one'),
    waiting: z.int(),
    accounts: z
      .array(
        z.strictObject({
          ...counted,
          running: z.int(),
          waiting: z.int(),
          tokensPerSecond: z.number(),
          elsewhere: z.array(z.string()).describe('the names of the other gateways with calls of the account'),
        }),
      )
      .describe('at all gateways of the database'),
    tokensPerSecond: z.number().describe('completion tokens, over the last ten seconds'),
    upstreams: z.array(serverSchema),
    loads: z.array(loadSchema),
    queues: z.array(z.strictObject({ model: z.string(), running: z.int(), waiting: z.int(), accounts: z.int() })),
    top: z.array(z.strictObject({ ...counted, tokens: z.int(), requests: z.int() })).describe('today'),
    refusals: z.array(z.strictObject({ code: z.string(), count: z.int() })).describe('in the last hour'),
    recent: z.int().describe('exchanges that ended in this minute and the one before'),
    encryption: z.strictObject({
      endsAt: timeOrNull.describe('the earliest expiry of certificates that have expired or expire soon; null: none'),
      problem: z.string().nullable().describe('why the last renewal failed; null: it did not fail'),
    }),
    ...waiting,
  })
  .meta({ id: 'Overview' });
