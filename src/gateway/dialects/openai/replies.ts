// What OpenAI's API answers with.
import { EventsMeter } from '../../meter/meter-events.ts';
import { generatedUsage, WholeMeter } from '../../meter/meter-whole.ts';
import { eventTypes, transcriptTypes } from '../media-types.ts';
import { defineReply, type Reply } from '../reply.ts';
import { responsesFrames } from './errors.ts';
import { completionEvents, embedded, responsesEvents, transcribed } from './meter.ts';

const wholeMeter: Reply['wholeMeter'] = (prompt, nowMs, failed) =>
  new WholeMeter(generatedUsage, prompt, nowMs, failed);

/** Of a chat or of a text. */
export const completion = defineReply({
  types: eventTypes,
  streamMeter: (prompt, nowMs) => new EventsMeter(completionEvents, prompt, nowMs),
  wholeMeter,
  length: { name: 'max_tokens', inOptions: false },
  usageOnRequest: true,
});

export const responses = defineReply({
  types: eventTypes,
  streamMeter: (prompt, nowMs) => new EventsMeter(responsesEvents, prompt, nowMs),
  wholeMeter,
  length: { name: 'max_output_tokens', inOptions: false },
  frames: responsesFrames,
});

export const embedding = defineReply({
  wholeMeter: (prompt, nowMs, failed) => new WholeMeter(embedded, prompt, nowMs, failed),
});

export const transcription = defineReply({
  types: transcriptTypes,
  wholeMeter: (prompt, nowMs, failed) => new WholeMeter(transcribed, prompt, nowMs, failed),
});

export const modelList = defineReply({
  list: {
    isOfLoaded: false,
    member: 'data',
    // Beside an `id`, `name` is a title.
    nameFields: ['id'],
    entryOf: ({ openai }) => openai,
    write: (entries) => `{"object":"list","data":[${entries}]}`,
  },
});
