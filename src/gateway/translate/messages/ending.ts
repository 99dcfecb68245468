// How an Anthropic answer ends: its reason and its usage, from those of a chat.
import type { Blocks } from '../chat/blocks.ts';
import { type ChatUsage, reasonOf } from '../chat/chat-events.ts';

export interface StopReason {
  readonly stop_reason: 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'refusal';
  readonly stop_sequence: string | null;
}

/** @throws GatewayError `upstream_failed` if the server ended without a reason. */
export function stopReasonOf(
  answer: Pick<Blocks, 'reason' | 'stop' | 'hasCalls' | 'hasRefusal'>,
  stops: readonly string[],
): StopReason {
  const { stop, hasCalls, hasRefusal } = answer;
  const reason = reasonOf(answer);
  if (hasRefusal || reason === 'content_filter') return { stop_reason: 'refusal', stop_sequence: null };
  if (reason === 'length') return { stop_reason: 'max_tokens', stop_sequence: null };
  if (hasCalls) return { stop_reason: 'tool_use', stop_sequence: null };
  return stop !== undefined && stops.includes(stop)
    ? { stop_reason: 'stop_sequence', stop_sequence: stop }
    : { stop_reason: 'end_turn', stop_sequence: null };
}

/** Anthropic counts the cached part of a prompt apart from the rest. */
export function messageUsage({ prompt, completion, cached, reasoning }: ChatUsage): object {
  return {
    input_tokens: prompt - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: completion,
    ...(reasoning === undefined ? {} : { output_tokens_details: { thinking_tokens: reasoning } }),
  };
}

/** The gateway's own: the server's id can say which software it is, and is not shaped like one of this API. */
export const messageId = (requestId: string): string => `msg_${requestId.replaceAll(/[^A-Za-z0-9]/g, '')}`;

export const callId = (requestId: string, at: number): string =>
  `toolu_${requestId.replaceAll(/[^A-Za-z0-9]/g, '')}${at}`;
