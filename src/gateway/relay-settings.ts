// Converts the operator's settings to those of relaying.

import { answerHeaders } from './browser.ts';
import { BodyBudget } from './payload/body-budget.ts';
import type { RelaySettings } from './relay.ts';

type Seconds =
  | 'firstByteSeconds'
  | 'silenceSeconds'
  | 'totalSeconds'
  | 'metadataSeconds'
  | 'transferSilenceSeconds'
  | 'readerStallSeconds';
type Figures = Readonly<Record<Seconds | 'readerBufferBytes' | 'answerMemoryBytes', number>>;

export function relaySettingsOf(figures: Figures): RelaySettings {
  return {
    times: {
      firstByteMs: figures.firstByteSeconds * 1000,
      silenceMs: figures.silenceSeconds * 1000,
      totalMs: figures.totalSeconds * 1000,
      metadataMs: figures.metadataSeconds * 1000,
      transferSilenceMs: figures.transferSilenceSeconds * 1000,
    },
    readerBufferBytes: figures.readerBufferBytes,
    answers: new BodyBudget(figures.answerMemoryBytes),
    readerStallMs: figures.readerStallSeconds * 1000,
    ownHeaders: answerHeaders,
  };
}
