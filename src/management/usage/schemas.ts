// The shapes of figures: usage, the audit log, limits, what runs now, what encrypts it, and the forecast of a call.
import { z } from 'zod';
import { windowNames } from '../../domain/calendar.ts';
import { measures } from '../../domain/plan.ts';
import { id, name, perhaps, text, time, word } from '../http/schemas.ts';

export const usageRow = z
  .strictObject({
    id: z.string(),
    at: time,
    keyId: z.string(),
    accountId: z.string(),
    operation: z.string(),
    model: z.string().nullable(),
    upstream: z.string().nullable(),
    outcome: z.string(),
    status: z.int(),
    code: z.string().nullable(),
    streamed: z.boolean(),
    promptTokens: z.int(),
    completionTokens: z.int(),
    source: z.enum(['exact', 'estimated', 'none']),
    bytesIn: z.int(),
    bytesOut: z.int(),
    firstByteMs: z.int().nullable(),
    durationMs: z.int(),
    queuedMs: z.int(),
    address: z.string(),
    repeats: z
      .int()
      .describe('exchanges that the row stands for; above 1: refused ones beyond refused_rows_per_minute'),
    cacheReadTokens: z.int().describe('the part of promptTokens that the model server read from its prompt cache'),
    cacheWriteTokens: z.int().describe('the part of promptTokens that it wrote into the cache'),
  })
  .meta({ id: 'UsageRow' });
export const usageSum = z
  .strictObject({
    group: z.string(),
    name: z.string().nullable(),
    requests: z.int(),
    refused: z.int(),
    failed: z.int(),
    promptTokens: z.int(),
    completionTokens: z.int(),
    estimated: z.int(),
    cacheReadTokens: z.int().describe('parts of promptTokens, like cacheWriteTokens'),
    cacheWriteTokens: z.int(),
  })
  .meta({ id: 'UsageSum' });

export const auditShape = z
  .strictObject({
    id: z.string(),
    at: time,
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    from: z.record(z.string(), z.unknown()).nullable(),
    to: z.record(z.string(), z.unknown()).nullable(),
  })
  .meta({ id: 'AuditEvent' });

export const statusShape = z
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
    upstreams: z.array(z.strictObject({ name: z.string(), up: z.boolean().nullable(), inFlight: z.int() })),
  })
  .meta({ id: 'Status' });

export const certificateShape = z
  .strictObject({
    names: z.array(z.string()).describe('host names and addresses that it is good for'),
    issuer: z.string().nullable(),
    notBefore: perhaps,
    notAfter: perhaps.describe('null, like all else: a container that does not let itself be read'),
    daysLeft: z.int().nullable().describe('whole days; below 0: it has ended'),
    state: z
      .enum(['fine', 'ends-soon', 'ended'])
      .describe('ends-soon: within 14 days, and the gate has not renewed it by itself'),
    keyType: z.string().nullable().describe('such as EC P-256 or RSA 2048'),
    fingerprint: z.string().nullable().describe('SHA-256'),
  })
  .meta({ id: 'Certificate' });
export const encryptionShape = z
  .strictObject({
    how: z
      .enum(['off', 'proxy', 'files', 'acme', 'self-signed'])
      .describe('proxy: something in front that is trusted; files: from disk; self-signed: by an authority of its own'),
    exposed: z.boolean().describe('others reach it over a network that can read along'),
    authority: z.string().nullable().describe('SHA-256 of the authority of its own that callers must trust first'),
    clientCertificates: z.enum(['none', 'optional', 'required']).describe('whether callers are asked for one'),
    certificates: z.array(certificateShape).describe('that are shown; the first to callers who name no host'),
    provisional: z.boolean().describe('the gate’s own, until a public authority has answered for the first time'),
    renewsAt: perhaps.describe('when the gate gets the next by itself; null: others do, or there is none yet'),
    problem: z.string().nullable().describe('why the last renewal failed, or the newest files are not used'),
    triesAt: perhaps.describe('when it tries again; null: when the files change'),
  })
  .meta({ id: 'Encryption' });

export const reportGroups = ['key', 'account', 'model', 'day', 'month'] as const;

export const limitShape = z
  .strictObject({
    name: z.string(),
    per: z.enum(['account', 'key']),
    key: id('key').nullable(),
    measure: z.string().describe(`one of ${Object.keys(measures).join(', ')}`),
    window: z.string().describe(`one of ${windowNames.join(', ')}, in the gate’s time zone`),
    limit: z.number(),
    used: z.number().describe('what running calls have reserved included'),
    remaining: z.number(),
    needed: z.number().describe('by the call that was asked about; else 0'),
    resetsAt: time,
  })
  .meta({ id: 'Limit' });
export const modelShape = z.strictObject({ name: z.string(), size: z.int().nullable() }).meta({ id: 'Model' });

const counted = { account: z.string(), name: z.string() };
export const overviewShape = z
  .strictObject({
    accepting: z.boolean(),
    running: z.int(),
    waiting: z.int(),
    accounts: z.array(z.strictObject({ ...counted, running: z.int(), waiting: z.int(), tokensPerSecond: z.number() })),
    tokensPerSecond: z.number().describe('completion tokens, over the last ten seconds'),
    upstreams: z.array(z.strictObject({ name: z.string(), up: z.boolean().nullable(), inFlight: z.int() })),
    queues: z.array(z.strictObject({ model: z.string(), running: z.int(), waiting: z.int(), accounts: z.int() })),
    top: z.array(z.strictObject({ ...counted, tokens: z.int(), requests: z.int() })).describe('today'),
    refusals: z.array(z.strictObject({ code: z.string(), count: z.int() })).describe('in the last hour'),
    recent: z.int().describe('exchanges that ended in this minute and the one before'),
    encryption: z.strictObject({
      endsAt: perhaps.describe('when the first of the certificates ends that have ended or soon will; null: none'),
      problem: z.string().nullable().describe('why the last renewal failed; null: it did not'),
    }),
    applications: z.int().describe('that wait for a decision'),
    appeals: z.int().describe('that wait for an answer'),
  })
  .meta({ id: 'Overview' });

export const question = z
  .strictObject({
    account: name.optional().describe('id or name'),
    plan: word.optional().describe('instead of an account: somebody with that plan who has used nothing'),
    key: id('key').optional(),
    path: z.string().regex(/^\/[\w/.-]{1,100}$/),
    model: text(200),
    promptTokens: z.int().min(0).max(1e9).optional(),
    maxTokens: z.int().min(1).max(1e9).optional(),
  })
  .meta({ id: 'Question' });
export const previewShape = z
  .strictObject({
    passes: z.boolean(),
    status: z.int().describe('what the call would be answered with'),
    code: z.string().nullable(),
    reason: z.string(),
    retryAfterSeconds: z.int().nullable(),
    changes: z.array(z.string()).describe('what the plan would change in the call’s body'),
    limits: z.array(limitShape),
  })
  .meta({ id: 'Preview' });
