// The answers of Ollama's own API.
import { WholeMeter } from '../../meter/meter-whole.ts';
import { lineTypes } from '../media-types.ts';
import { defineReply, type ModelList } from '../reply.ts';
import { embedded, generated, LinesMeter, ProgressMeter } from './meter.ts';

export const generation = defineReply({
  types: lineTypes,
  streamMeter: (prompt, nowMs) => new LinesMeter(prompt, nowMs),
  wholeMeter: (prompt, nowMs, failed) => new WholeMeter(generated, prompt, nowMs, failed),
  length: { name: 'num_predict', inOptions: true },
});

export const embedding = defineReply({
  wholeMeter: (prompt, nowMs, failed) => new WholeMeter(embedded, prompt, nowMs, failed),
});

/** For transfers, which cost no tokens. */
export const progress = defineReply({ types: lineTypes, streamMeter: () => new ProgressMeter() });

const list: ModelList = {
  isOfLoaded: false,
  member: 'models',
  nameFields: ['name', 'model'],
  entryOf: ({ ollama }) => ollama,
  write: (entries) => `{"models":[${entries}]}`,
};

export const modelList = defineReply({ list });

export const loadedList = defineReply({ list: { ...list, isOfLoaded: true } });
