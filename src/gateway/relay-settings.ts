// Converts the operator's settings to those of relaying.

import { answerHeaders } from './browser.ts';
import type { BodyBudget } from './payload/body-budget.ts';
import type { RelaySettings } from './relay.ts';

type Seconds =
  | 'firstByteSeconds'
  | 'silenceSeconds'
  | 'totalSeconds'
  | 'metadataSeconds'
  | 'transferSilenceSeconds'
  | 'readerStallSeconds';
type Figures = Readonly<Record<Seconds | 'readerBufferBytes', number>>;

/** `answers`: the budget that the backlogs of all answers share, also those of earlier settings. */
export function relaySettingsOf(figures: Figures, answers: BodyBudget): RelaySettings {
  return {
    times: {
      firstByteMs: figures.firstByteSeconds * 1000,
      silenceMs: figures.silenceSeconds * 1000,
      totalMs: figures.totalSeconds * 1000,
      metadataMs: figures.metadataSeconds * 1000,
      transferSilenceMs: figures.transferSilenceSeconds * 1000,
    },
    readerBufferBytes: figures.readerBufferBytes,
    answers,
    readerStallMs: figures.readerStallSeconds * 1000,
    ownHeaders: answerHeaders,
  };
}
