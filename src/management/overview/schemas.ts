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
  reason: z.string().nullable().describe('why it does not get all calls; null if it does'),
  kind: z
    .string()
    .nullable()
    .describe('such as ollama or llama-server; openai is any other server with /v1/models; null: not known yet'),
  inFlight: z.int(),
  queue: z
    .strictObject({ running: z.int(), waiting: z.int() })
    .nullable()
    .describe('what the server says of the calls of all its clients; null where it does not'),
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
    running: z.int().describe('exchanges inside the gate, those that wait included'),
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
  works: z.boolean().nullable().describe('null: not used since the gate started'),
  at: timeOrNull.describe('of the last use'),
  problem: z.string().nullable().describe('in the words of the other side or of the system'),
};
export const connectionsSchema = z
  .strictObject({
    mail: z.strictObject(connectionFields).nullable().describe('null: the gate sends no mail'),
    providers: z.array(z.strictObject({ id: z.string(), name: z.string(), ...connectionFields })),
  })
  .meta({ id: 'Connections' });

export const certificateSchema = z
  .strictObject({
    names: z.array(z.string()).describe('host names and addresses that it is good for'),
    issuer: z.string().nullable(),
    notBefore: timeOrNull,
    notAfter: timeOrNull.describe('null, like all else: a container that does not let itself be read'),
    daysLeft: z.int().nullable().describe('whole days; below 0: it has ended'),
    state: z
      .enum(['fine', 'ends-soon', 'ended'])
      .describe('ends-soon: within 14 days, and the gate has not renewed it by itself'),
    keyType: z.string().nullable().describe('such as EC P-256 or RSA 2048'),
    fingerprint: z.string().nullable().describe('SHA-256'),
  })
  .meta({ id: 'Certificate' });

export const encryptionSchema = z
  .strictObject({
    how: z
      .enum(['off', 'proxy', 'files', 'acme', 'self-signed'])
      .describe('proxy: something in front that is trusted; files: from disk; self-signed: by an authority of its own'),
    exposed: z.boolean().describe('others reach it over a network that can read along'),
    authority: z.string().nullable().describe('SHA-256 of the authority of its own that callers must trust first'),
    clientCertificates: z.enum(['none', 'optional', 'required']).describe('whether callers are asked for one'),
    certificates: z.array(certificateSchema).describe('that are shown; the first to callers who name no host'),
    provisional: z.boolean().describe('the gate’s own, until a public authority has answered for the first time'),
    renewsAt: timeOrNull.describe('when the gate gets the next by itself; null: others do, or there is none yet'),
    problem: z.string().nullable().describe('why the last renewal failed, or the newest files are not used'),
    triesAt: timeOrNull.describe('when it tries again; null: when the files change'),
  })
  .meta({ id: 'Encryption' });
const counted = { account: z.string(), name: z.string() };

export const overviewSchema = z
  .strictObject({
    accepting: z.boolean(),
    running: z.int(),
    waiting: z.int(),
    accounts: z.array(z.strictObject({ ...counted, running: z.int(), waiting: z.int(), tokensPerSecond: z.number() })),
    tokensPerSecond: z.number().describe('completion tokens, over the last ten seconds'),
    upstreams: z.array(serverSchema),
    loads: z.array(loadSchema),
    queues: z.array(z.strictObject({ model: z.string(), running: z.int(), waiting: z.int(), accounts: z.int() })),
    top: z.array(z.strictObject({ ...counted, tokens: z.int(), requests: z.int() })).describe('today'),
    refusals: z.array(z.strictObject({ code: z.string(), count: z.int() })).describe('in the last hour'),
    recent: z.int().describe('exchanges that ended in this minute and the one before'),
    encryption: z.strictObject({
      endsAt: timeOrNull.describe('when the first of the certificates ends that have ended or soon will; null: none'),
      problem: z.string().nullable().describe('why the last renewal failed; null: it did not'),
    }),
    applications: z.int().describe('that wait for a decision'),
    appeals: z.int().describe('that wait for an answer'),
  })
  .meta({ id: 'Overview' });
