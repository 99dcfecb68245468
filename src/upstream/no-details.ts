// For kinds whose servers say nothing about single models that the gate could use.
import type { ModelDetails } from './kind.ts';

export const noDetails: ModelDetails = {
  contextOf: () => undefined,
  answerTokensOf: () => undefined,
  slotsOf: () => undefined,
  loaded: undefined,
  queue: undefined,
  look: () => Promise.resolve(),
};
