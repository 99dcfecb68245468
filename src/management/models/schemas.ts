// What is sent and answered about the models on the model servers, and pulls of models.
import { z } from 'zod';
import { pullStates } from '../../domain/server-models.ts';
import { text, time, timeOrNull } from '../http/fields.ts';

const bytes = z.int().nullable();
const words = z.string().nullable();
const server = text(400).describe('by name; a server of the settings by address');
const model = text(400);

export const serverModelsSchema = z
  .strictObject({
    server: z.string(),
    kind: words.describe('null: not known yet'),
    isManaged: z.boolean().describe('models can be pulled to it, unloaded and looked at'),
    isServing: z.boolean().describe('it takes calls'),
    answers: z.boolean().describe('its list of models could be read'),
    models: z.array(
      z.strictObject({
        name: z.string(),
        size: bytes.describe('on disk'),
        changedAt: timeOrNull,
        family: words,
        parameters: words.describe('how many, such as 4.3B'),
        quantization: words,
        loaded: z
          .strictObject({
            size: bytes.describe('in memory of any kind'),
            vram: bytes.describe('of these, in the memory of graphics cards'),
            until: timeOrNull.describe('when it is unloaded if no call comes'),
            context: z.int().nullable().describe('in tokens'),
          })
          .nullable()
          .describe('null: it is not in memory, or the server does not say'),
      }),
    ),
  })
  .meta({ id: 'ServerModels' });

export const modelDescriptionSchema = z
  .strictObject({
    family: words,
    format: words,
    parameters: words,
    quantization: words,
    context: z.int().nullable().describe('the longest that the model was made for, in tokens'),
    capabilities: z.array(z.string()),
    settings: words.describe('its own parameters, a line each'),
    license: words,
  })
  .meta({ id: 'ModelDescription' });

export const modelOnServer = { server, model };
export const unloadSchema = z.strictObject(modelOnServer).meta({ id: 'Unload' });

export const newPullSchema = z
  .strictObject({
    model: model.describe('as ollama pull takes it'),
    servers: z
      .union([z.literal('all'), z.array(server).min(1).max(50)])
      .default('all')
      .describe('names, or all that can'),
  })
  .meta({ id: 'NewPull' });

export const pullSchema = z
  .strictObject({
    id: z.string(),
    server: z.string(),
    model: z.string(),
    state: z.enum(pullStates).describe('interrupted: the gateway ended before the pull did'),
    startedBy: z.string(),
    startedByName: z.string(),
    startedAt: time,
    endedAt: timeOrNull,
    error: words.describe('in the words of the server'),
    progress: z
      .strictObject({
        status: z.string().describe('as the server words it'),
        completed: z.int(),
        total: z.int().describe('bytes of the layers named so far; 0: none'),
      })
      .nullable()
      .describe('of a running pull'),
  })
  .meta({ id: 'Pull' });
