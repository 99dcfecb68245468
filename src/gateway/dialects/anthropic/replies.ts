// The answers of Anthropic's API.
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

/** The token count of a prompt, which Ollama does not provide. */
export const count = defineReply({ isOptional: true });
