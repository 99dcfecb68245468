// What is sent and answered about model servers.
import { z } from 'zod';
import { serverStates } from '../../domain/server-status.ts';
import { id, name, text, timeOrNull, word } from '../http/fields.ts';

const slots = z
  .record(text(200), z.int().min(1).max(100_000))
  .describe('concurrent calls by model; * stands for every other model; null: the settings apply');
const weight = z
  .number()
  .min(0.01)
  .max(100)
  .describe('divides its estimate when a server is chosen; 1 is usual, 2 gets twice the calls of an equal server');
const file = text(200).describe('name of a file in the directory of server_files');
const plans = z.array(word).max(200);
const accounts = z.array(name).max(1_000);

const fields = {
  kind: word.nullable().describe('null: detected automatically'),
  weight,
  slots: slots.nullable(),
  secret: text(10_000)
    .nullable()
    .describe('an API key, or header lines as "Name: value"; stored encrypted and never shown again'),
  secretFile: file.nullable().describe('a file with the secret, instead'),
  caFile: file.nullable().describe('certificate authorities for its certificate, PEM'),
  certificateFile: file.nullable().describe('client certificate, PEM'),
  keyFile: file.nullable().describe('key of the client certificate, PEM'),
  plans: plans
    .nullable()
    .describe('only callers with these plans, and those in accounts, can use it; both null: everyone'),
  accounts: accounts.nullable().describe('ids or names'),
  maintenance: z.boolean().describe('it gets no new calls; running calls continue'),
};

export const newServerSchema = z
  .strictObject({ name: word, address: text(500) })
  .extend(z.strictObject(fields).partial().shape)
  .meta({ id: 'NewServer' });

export const serverChangeSchema = z
  .strictObject({ name: word, address: text(500), ...fields })
  .partial()
  .meta({ id: 'ServerChange' });

const figure = z.number().min(0);
export const estimateSchema = z
  .strictObject({
    address: z.string(),
    isLoaded: z.boolean().describe('in memory, as far as is known; false: a call loads it first'),
    inFlight: z.int().describe('calls for the model'),
    slots: z.int(),
    calls: z.int().describe('answers that the estimate is based on; 0: the paces are assumed'),
    promptTokensPerSecond: figure,
    answerTokensPerSecond: figure,
    loadMs: figure,
    waitMs: figure.describe('until a slot is free and earlier prompts are read'),
    latenessMs: figure.describe('how much later than estimated its recent answers started'),
    estimateMs: figure.describe('until the first token for a prompt of 1,000 tokens, divided by the weight'),
  })
  .meta({ id: 'ServerEstimate' });

export const serverSchema = z
  .strictObject({
    id: id('srv').nullable().describe('null: it is set by upstream and cannot be changed here'),
    name: z.string(),
    address: z.string(),
    fixed: z.boolean().describe('set by upstream'),
    kind: z.string().nullable().describe('as it was given; null: detected automatically'),
    weight,
    slots: slots.nullable(),
    secret: z
      .strictObject({ from: z.enum(['file', 'stored']), file: z.string().nullable(), setAt: timeOrNull })
      .nullable()
      .describe('where it is stored; never the secret itself'),
    caFile: z.string().nullable(),
    certificateFile: z.string().nullable(),
    keyFile: z.string().nullable(),
    plans: z.array(z.string()).nullable(),
    accounts: z.array(z.string()).nullable().describe('ids'),
    maintenance: z.boolean(),
    createdAt: timeOrNull,
    changedAt: timeOrNull,
    version: z.int().nullable(),
    state: z
      .enum(serverStates)
      .describe(
        'unknown: not probed yet; loading: it answers that it is loading its model; doubtful: calls have just gone wrong there; refused: it does not accept the secret; busy: it asked to be left alone for a while; draining: no new calls, some still run; unusable: its files or address cannot be used',
      ),
    since: timeOrNull,
    reason: z.string().nullable().describe('why it does not get all calls'),
    detectedKind: z.string().nullable(),
    models: z.array(z.string()).describe('as it spells them, at most 500'),
    modelCount: z.int(),
    inFlight: z.int().describe('running calls'),
  })
  .meta({ id: 'Server' });
