// The parts of an answer of /v1/chat/completions that both a whole one and a stream have, from those of an Anthropic message.
import type { Fields } from '../../../upstream/kind.ts';
import { isFields } from '../../answer/model-error.ts';
import { usageFigures } from '../../meter/token-counts.ts';
import { malformed } from '../translation.ts';

const reasons: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

/** @throws GatewayError `upstream_failed` if there is none. */
export function finishReasonOf(reason: unknown): string {
  if (typeof reason !== 'string') throw malformed('no reason for its end');
  return Object.hasOwn(reasons, reason) ? (reasons[reason] as string) : 'stop';
}

/** A text of a block or of a piece; a missing one is empty. @throws GatewayError `upstream_failed`. */
export function textIn(text: unknown): string {
  const found = text ?? '';
  if (typeof found !== 'string') throw malformed('a text that is none');
  return found;
}

/** A block of the type `tool_use`. @throws GatewayError `upstream_failed`. */
export function callIn(block: Fields): { readonly id: string; readonly name: string; readonly input: Fields } {
  const { id, name } = block;
  const input = block['input'] ?? {};
  if (typeof id !== 'string' || typeof name !== 'string' || id === '' || name === '' || !isFields(input))
    throw malformed('a tool call that is none');
  return { id, name, input };
}

/** Figures of a message so far; later ones replace earlier ones. */
export interface MessageFigures {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
  readonly written: number;
  readonly reasoning: number | undefined;
}

export const noFigures: MessageFigures = { prompt: 0, completion: 0, cached: 0, written: 0, reasoning: undefined };

/** Adds what an event or a whole message reports. `prompt` is without the cached tokens, as it is there. */
export function figuresAfter(known: MessageFigures, usage: unknown): MessageFigures {
  const found = usageFigures(usage);
  if (!found) return known;
  const details = isFields(usage) ? usage['output_tokens_details'] : undefined;
  const reasoning = isFields(details) ? details['thinking_tokens'] : undefined;
  return {
    prompt: found.prompt || known.prompt,
    completion: found.completion ?? known.completion,
    cached: found.cacheRead || known.cached,
    written: found.cacheWrite || known.written,
    reasoning: typeof reasoning === 'number' && Number.isSafeInteger(reasoning) ? reasoning : known.reasoning,
  };
}

export function chatUsage({ prompt, completion, cached, written, reasoning }: MessageFigures): object {
  const all = prompt + cached + written;
  return {
    prompt_tokens: all,
    completion_tokens: completion,
    total_tokens: all + completion,
    prompt_tokens_details: { cached_tokens: cached },
    ...(reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoning } }),
  };
}

/** The gateway's own: the server's id is not shaped like one of this API. */
export const completionId = (requestId: string): string => `chatcmpl-${requestId.replaceAll(/[^A-Za-z0-9]/g, '')}`;
