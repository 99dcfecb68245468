// The answers of OpenAI's API.
import { EventsMeter } from '../../meter/meter-events.ts';
import { generatedUsage, WholeMeter } from '../../meter/meter-whole.ts';
import { eventTypes, transcriptTypes } from '../media-types.ts';
import { defineReply, type Reply } from '../reply.ts';
import { responsesFrames } from './errors.ts';
import { completionEvents, embedded, responsesEvents, transcribed } from './meter.ts';

const wholeMeter: Reply['wholeMeter'] = (prompt, nowMs, failed) =>
  new WholeMeter(generatedUsage, prompt, nowMs, failed);

/** For chats and texts. */
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
    // `name` is a title when there is an `id`.
    nameFields: ['id'],
    entryOf: ({ openai }) => openai,
    write: (entries) => `{"object":"list","data":[${entries}]}`,
  },
});
