// Where Anthropic's API reports the cost of a stream.
import type { EventWords } from '../../meter/meter-events.ts';
import { wantedUsage } from '../../meter/meter-whole.ts';
import type { Wanted } from '../../payload/json-scalars.ts';

export const messageEvents: EventWords = {
  endsByWord: false,
  wanted: new Map<string, Wanted | true>([
    ['type', true],
    ['error', true],
    ['usage', wantedUsage],
    ['message', new Map([['usage', wantedUsage]])],
  ]),
  kindOf(data) {
    const isPiece = data.includes('"content_block_delta"');
    const isReport = data.includes('"error"') || !(isPiece || data.includes('"ping"'));
    if (isReport) return isPiece ? 'both' : 'report';
    return isPiece ? 'piece' : 'neither';
  },
  isPiece: ({ type }) => type === 'content_block_delta',
  read(value, tokens, _, tally) {
    switch (value['type']) {
      case 'error':
        tally.done = tally.errorSeen = true;
        return;
      case 'message_stop':
        tally.done = true;
        return;
      case 'message_start':
        // On some servers only this event has the prompt; Ollama's figure is an estimate, replaced by the last event.
        tally.take((value['message'] as { readonly usage?: unknown } | undefined)?.usage);
        return;
      case 'message_delta':
        if (tally.take(value['usage'])) tally.final = true;
        return;
      case 'content_block_start':
        // Some servers send a whole tool call here.
        if (tokens > 1) tally.count(tokens);
    }
  },
};
