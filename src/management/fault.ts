// A request that the management plane refuses, with a sentence from domain/sentences.
import { readLabel, readProse } from '../domain/label.ts';
import { Refusal, type RefusalKind } from '../domain/refusal.ts';
import { asSentence, type ParametersOf, type Reason, say, sentenceOf, Unreadable } from '../domain/sentences.ts';

export class Fault<R extends Reason = Reason> extends Refusal {
  override name = 'Fault';

  constructor(reason: R, parameters: ParametersOf<R>, kind?: RefusalKind) {
    super(say(reason, parameters), kind);
  }
}

/** The kind of a text. */
type What = Extract<Reason, `what_${string}`>;

/** A name on one line, as domain/label reads it. @throws Fault. */
export const requireText = (what: What, text: string, most: number): string =>
  wordOf(what, () => readLabel(text, most));

/** A text of several lines, as domain/label reads it. @throws Fault. */
export const requireProse = (what: What, text: string, most: number): string =>
  wordOf(what, () => readProse(text, most));

function wordOf(what: What, read: () => string): string {
  try {
    return read();
  } catch (error) {
    throw error instanceof Unreadable ? new Fault('text_refused', { what: say(what, {}), fault: error.said }) : error;
  }
}

/** Converts the message of a parser in domain/ to a sentence for the caller. @throws Refusal. */
export function reading<T>(read: () => T, kind?: RefusalKind): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unreadable) throw new ReadingFault(error, kind);
    throw new Fault('unreadable', { what: asSentence((error as Error).message) }, kind);
  }
}

/** The clause of a parser, as a sentence. */
class ReadingFault extends Refusal {
  constructor({ said }: Unreadable, kind?: RefusalKind) {
    super(said, kind);
    this.message = sentenceOf(said);
  }
}
