// Estimates what a call will use before it is forwarded: the amount to reserve from its limits, and the cost of its turn at a
// model. Decides nothing.
import type { Ask } from '../../domain/limit.ts';
import type { Shaped } from '../apply-plan.ts';
import { expectedUnits } from '../services/cost-meter.ts';
import { isPublished } from '../services/published.ts';
import { answerEstimate, mostAnswer } from './recent-answers.ts';

/** What to reserve for a call. */
export function expectedUse({
  operation,
  caller: { principal },
  metering,
  promptEstimate,
  askedTokens,
  choices,
  mcp,
}: Shaped): Ask {
  if (operation.time !== 'inference') {
    const units = isPublished(operation) ? expectedUnits(operation.service.route.cost, mcp) : 0;
    return { requests: 1, promptTokens: 0, completionTokens: 0, units, spends: operation.time === 'transfer' };
  }
  // A transcript has fewer tokens than its recording.
  if (operation.scope === 'inference:audio')
    return {
      requests: 1,
      promptTokens: promptEstimate,
      completionTokens: Math.ceil(promptEstimate / 8),
      units: 0,
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
  return { requests: 1, promptTokens: promptEstimate, completionTokens, units: 0, spends: true };
}

/** The most completion tokens that a call can use. Unlike the estimate it does not depend on the key's earlier calls. */
export function mostCompletion({ operation, caller: { principal }, askedTokens, choices }: Shaped): number {
  if (operation.scope !== 'inference:chat') return 0;
  return mostAnswer(askedTokens, principal.bounds?.maxOutputTokens ?? null, choices);
}
