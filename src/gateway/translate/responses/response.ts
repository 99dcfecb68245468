// The response around the items of an answer of OpenAI's Responses API.
import type { Blocks } from '../chat/blocks.ts';
import { type ChatUsage, reasonOf } from '../chat/chat-events.ts';
import type { Answering } from '../translation.ts';
import type { Status } from './items.ts';
import type { ResponsesAsked } from './request.ts';

export interface Ended {
  readonly status: Exclude<Status, 'in_progress'>;
  readonly incomplete_details: { readonly reason: 'max_output_tokens' | 'content_filter' } | null;
}

/** @throws GatewayError `upstream_failed` if the server ended without a reason. */
export function endedBy(answer: Pick<Blocks, 'reason'>): Ended {
  const reason = reasonOf(answer);
  if (reason === 'length') return { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
  if (reason === 'content_filter') return { status: 'incomplete', incomplete_details: { reason: 'content_filter' } };
  return { status: 'completed', incomplete_details: null };
}

/** Ids are the gateway's own, and name nothing that could be asked for later. */
export const idOf = (prefix: string, requestId: string, at: number | string): string =>
  `${prefix}_${requestId.replaceAll(/[^A-Za-z0-9]/g, '')}${at}`;

/** `ended` is undefined while the items are being written. */
export function responseOf(
  { repeated }: ResponsesAsked,
  { model, requestId, at, elapsedMs }: Answering,
  output: readonly object[],
  ended: Ended | undefined,
  usage: ChatUsage | undefined,
): object {
  return {
    id: idOf('resp', requestId, ''),
    object: 'response',
    created_at: Math.floor(at / 1000),
    status: ended?.status ?? 'in_progress',
    background: false,
    completed_at: ended?.status === 'completed' ? Math.floor((at + elapsedMs()) / 1000) : null,
    error: null,
    incomplete_details: ended?.incomplete_details ?? null,
    max_tool_calls: null,
    model,
    output,
    previous_response_id: null,
    service_tier: 'default',
    store: false,
    top_logprobs: 0,
    truncation: 'disabled',
    ...repeated,
    usage: usage ? usageOf(usage) : null,
  };
}

function usageOf({ prompt, completion, cached, reasoning }: ChatUsage): object {
  return {
    input_tokens: prompt,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: completion,
    output_tokens_details: { reasoning_tokens: reasoning ?? 0 },
    total_tokens: prompt + completion,
  };
}
