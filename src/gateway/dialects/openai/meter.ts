// Where OpenAI's API reports the cost of an answer: in the events of its two kinds of streams, and in whole answers.
import type { EventWords } from '../../meter/meter-events.ts';
import { type WholeWords, wantedAnswer, wantedTimings, wantedUsage } from '../../meter/meter-whole.ts';
import { type Figures, reportsError, usageFigures } from '../../meter/token-counts.ts';
import type { Wanted } from '../../payload/json-scalars.ts';

const usageName = Buffer.from('"usage"');
const timingsName = Buffer.from('"timings"');

/** Streams of chats and of texts. */
export const completionEvents: EventWords = {
  endsByWord: true,
  wanted: new Map<string, Wanted | true>([
    ['error', true],
    ['usage', wantedUsage],
    ['timings', wantedTimings],
  ]),
  kindOf(data) {
    // Most events of the largest streams: two searches show that they are only a piece.
    if (!data.includes(usageName)) return data.includes(timingsName) ? 'both' : 'piece';
    const isPiece = !data.includes('"choices":[]') && !data.includes('"choices": []');
    if (data.includes('"usage":null')) return isPiece ? 'piece' : 'neither';
    return isPiece ? 'both' : 'report';
  },
  isPiece: () => true,
  read(value, _, isPiece, tally) {
    if (reportsError(value['error'])) tally.done = tally.errorSeen = true;
    if (value['timings'] !== undefined) tally.takeTimes(value['timings']);
    // The usage of an event without choices covers the whole answer.
    if (!tally.take(value['usage'])) tally.takeTimings(value['timings']);
    else if (!isPiece) tally.final = true;
  },
};

/** Streams of the Responses API. */
export const responsesEvents: EventWords = {
  endsByWord: false,
  wanted: new Map<string, Wanted | true>([
    ['type', true],
    ['error', true],
    ['response', new Map([['usage', wantedUsage]])],
  ]),
  kindOf(data) {
    const isPiece = data.includes('.delta"');
    const isReport =
      data.includes('"error"') ||
      data.includes('"response.completed"') ||
      data.includes('"response.incomplete"') ||
      data.includes('"response.failed"') ||
      data.includes('"response.output_item.done"');
    if (isReport) return isPiece ? 'both' : 'report';
    return isPiece ? 'piece' : 'neither';
  },
  isPiece: ({ type }) => typeof type === 'string' && type.endsWith('.delta'),
  read({ type, response }, tokens, _, tally) {
    if (type === 'error') tally.done = tally.errorSeen = true;
    if (type === 'response.output_item.done') tally.items += tokens;
    if (type !== 'response.completed' && type !== 'response.incomplete' && type !== 'response.failed') return;
    tally.done = tally.final = true;
    tally.errorSeen = type === 'response.failed';
    tally.take((response as { readonly usage?: unknown } | undefined)?.usage);
  },
};

const wanted = wantedAnswer([['usage', wantedUsage]]);

/** An embedding has no completion, and no server reports one. */
export const embedded: WholeWords = {
  kind: 'embeds',
  wanted,
  figuresIn(answer): Figures | undefined {
    const figures = usageFigures(answer['usage']);
    return figures?.prompt === undefined ? figures : { ...figures, completion: figures.completion ?? 0 };
  },
};

export const transcribed: WholeWords = {
  kind: 'transcribes',
  wanted,
  figuresIn: (answer) => usageFigures(answer['usage']),
};
