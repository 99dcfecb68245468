// The items of an answer of OpenAI's Responses API, by the block of the chat that they hold, and the events that write them.
import type { BlockType } from '../chat/blocks.ts';

export type Status = 'in_progress' | 'completed' | 'incomplete';

/** How a block becomes an item. */
export interface ItemForm {
  /** What its id begins with. */
  readonly prefix: string;
  /** `text` is undefined while nothing has come. */
  readonly item: (id: string, status: Status, text: string | undefined, callId: string, name: string) => object;
  /** The part that holds the text; undefined for a call, which has none. */
  readonly part: ((text: string) => object) | undefined;
  /** Names of its events: of its part, and of the pieces of its text. */
  readonly partEvent: string;
  readonly textEvent: string;
  /** Fields of the events of its text. */
  readonly place: object;
  readonly textName: 'text' | 'refusal' | 'arguments';
  /** Fields beside the text. */
  readonly beside: object;
}

const textPart = (text: string): object => ({ type: 'output_text', annotations: [], logprobs: [], text });
const refusalPart = (refusal: string): object => ({ type: 'refusal', refusal });
const thoughtPart = (text: string): object => ({ type: 'reasoning_text', text });
const summaryPart = (text: string): object => ({ type: 'summary_text', text });

const listOf = (part: (text: string) => object, text: string | undefined): object[] =>
  text === undefined ? [] : [part(text)];

const message = (part: (text: string) => object): ItemForm['item'] => {
  return (id, status, text) => ({ id, type: 'message', status, role: 'assistant', content: listOf(part, text) });
};

const inContent = {
  partEvent: 'response.content_part',
  place: { content_index: 0 },
  beside: {},
} as const;

const said: ItemForm = {
  ...inContent,
  prefix: 'msg',
  item: message(textPart),
  part: textPart,
  textEvent: 'response.output_text',
  textName: 'text',
  beside: { logprobs: [] },
};

const refused: ItemForm = {
  ...inContent,
  prefix: 'msg',
  item: message(refusalPart),
  part: refusalPart,
  textEvent: 'response.refusal',
  textName: 'refusal',
};

const thought: ItemForm = {
  ...inContent,
  prefix: 'rs',
  item: (id, _, text) => ({ id, type: 'reasoning', summary: [], content: listOf(thoughtPart, text) }),
  part: thoughtPart,
  textEvent: 'response.reasoning_text',
  textName: 'text',
};

const summarized: ItemForm = {
  prefix: 'rs',
  item: (id, _, text) => ({ id, type: 'reasoning', summary: listOf(summaryPart, text) }),
  part: summaryPart,
  partEvent: 'response.reasoning_summary_part',
  textEvent: 'response.reasoning_summary_text',
  place: { summary_index: 0 },
  textName: 'text',
  beside: {},
};

const call: ItemForm = {
  prefix: 'fc',
  item: (id, status, text = '', callId, name) => ({
    id,
    type: 'function_call',
    status,
    arguments: text,
    call_id: callId,
    name,
  }),
  part: undefined,
  partEvent: '',
  textEvent: 'response.function_call_arguments',
  place: {},
  textName: 'arguments',
  beside: {},
};

const forms = { thought, said, refused, call } as const;

/** `summarizes`: thoughts are written as a summary. */
export const formOf = (type: BlockType, summarizes: boolean): ItemForm =>
  type === 'thought' && summarizes ? summarized : forms[type];
