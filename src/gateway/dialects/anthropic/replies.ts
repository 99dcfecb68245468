// What Anthropic's API answers with.
import { EventsMeter } from '../../meter/meter-events.ts';
import { generatedUsage, WholeMeter } from '../../meter/meter-whole.ts';
import { eventTypes } from '../media-types.ts';
import { defineReply } from '../reply.ts';
import { messageEvents } from './meter.ts';

export const message = defineReply({
  types: eventTypes,
  streamMeter: (prompt, nowMs) => new EventsMeter(messageEvents, prompt, nowMs),
  wholeMeter: (prompt, nowMs, failed) => new WholeMeter(generatedUsage, prompt, nowMs, failed),
  length: { name: 'max_tokens', inOptions: false },
});

/** The count of a prompt's tokens, which Ollama cannot give. */
export const count = defineReply({ isOptional: true });
