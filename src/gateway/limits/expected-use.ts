// What a call is expected to use, before it has used anything: what its limits reserve for it, and what its turn at a model is
// taken to cost. Decides nothing.
import type { Ask } from '../../domain/limit.ts';
import type { Shaped } from '../apply-plan.ts';
import { answerEstimate, mostAnswer } from './recent-answers.ts';

/** What a call will spend. */
export function expectedUse({
  operation,
  caller: { principal },
  metering,
  promptEstimate,
  askedTokens,
  choices,
}: Shaped): Ask {
  if (operation.time !== 'inference')
    return { requests: 1, promptTokens: 0, completionTokens: 0, spends: operation.time === 'transfer' };
  // A listener needs fewer tokens for speech than the sound has.
  if (operation.scope === 'inference:audio')
    return {
      requests: 1,
      promptTokens: promptEstimate,
      completionTokens: Math.ceil(promptEstimate / 8),
      spends: true,
    };
  const generates = operation.scope === 'inference:chat';
  const most = principal.bounds?.maxOutputTokens ?? null;
  const completionTokens =
    generates && metering.kind === 'metered'
      ? answerEstimate(askedTokens, metering.usage.key(principal.lineage).recentAnswers, most, choices)
      : generates
        ? (askedTokens ?? 512)
        : 0;
  return { requests: 1, promptTokens: promptEstimate, completionTokens, spends: true };
}

/** Completion tokens that a call can use at most, whatever its key's calls used before. */
export function mostCompletion({ operation, caller: { principal }, askedTokens, choices }: Shaped): number {
  if (operation.scope !== 'inference:chat') return 0;
  return mostAnswer(askedTokens, principal.bounds?.maxOutputTokens ?? null, choices);
}
