// Translates a call twice, where a server has neither its route nor the one into which it is translated, but one into which
// that can be translated: Ollama's chat becomes OpenAI's, and that becomes Anthropic's messages. The answer takes the way back.
import { GatewayError } from '../../domain/error.ts';
import type { Fields } from '../../upstream/kind.ts';
import { isFields, parse } from '../answer/model-error.ts';
import { ServerBody } from './server-body.ts';
import {
  type Answering,
  type Asked,
  FieldRefused,
  malformed,
  type StreamWriter,
  type Target,
  type Translated,
  type Translation,
  type Written,
} from './translation.ts';

/** `first`: what the call becomes; `second`: translates calls of that route. @throws GatewayError as a translation. */
export function translateTwice(first: Translated, second: Translation, asked: Asked, target: Target): Translated {
  const then = translateAgain(first, second, asked, target);
  const { whole: writeFirst, stream: openFirst } = first;
  const { whole: writeThen, stream: openThen } = then;
  return {
    path: then.path,
    members: then.members,
    whole: (answer, answering) => writeFirst(Buffer.from(writeThen(answer, answering)), answering),
    stream: openFirst && openThen && ((answering) => new TwiceStream(openThen, openFirst, answering)),
  };
}

/** The body between is gone when this returns: nothing refers to it, so it needs no room beside the caller's. */
function translateAgain(first: Translated, second: Translation, asked: Asked, target: Target): Translated {
  const { model, stream } = asked;
  // The usage of a stream is needed for the answer of the first.
  const bytes = new ServerBody(asked.bytes, first, { model, stream, asksForUsage: stream }).bytes();
  try {
    const then = second({ bytes, stream, usageInjected: false, model }, target);
    // No such route is one of a server.
    if ('own' in then) throw new GatewayError('upstream_lacks_route');
    const members = new Map<string, string>();
    for (const [name, value] of then.members) members.set(name, textOf(value, bytes));
    return { ...then, members };
  } catch (error) {
    // The caller knows the field by another name.
    throw error instanceof FieldRefused && first.nameOf ? error.as(first.nameOf(error.field)) : error;
  }
}

/** Ranges are of a body that is not kept. */
function textOf(value: Written, bytes: Buffer): string {
  if (typeof value === 'string') return value;
  if ('start' in value) return bytes.toString('utf8', value.start, value.end);
  return value.map((each) => textOf(each, bytes)).join('');
}

type Open = (answering: Answering) => StreamWriter;

/** The events that one writer sends are those that the other reads. */
class TwiceStream implements StreamWriter {
  readonly #inner: StreamWriter;
  readonly #outer: StreamWriter;

  constructor(openInner: Open, openOuter: Open, answering: Answering) {
    this.#inner = openInner(answering);
    this.#outer = openOuter(answering);
  }

  event(value: Fields): string {
    return this.#pass(this.#inner.event(value));
  }

  end(): string {
    return this.#pass(this.#inner.end());
  }

  #pass(frames: string): string {
    let written = '';
    for (const frame of frames.split('\n\n')) {
      if (frame === '') continue;
      const data = frame.slice(frame.indexOf('data: ') + 'data: '.length);
      if (data === '[DONE]') written += this.#outer.end();
      else {
        const value = parse(data);
        if (!isFields(value)) throw malformed('an event that is no object');
        written += this.#outer.event(value);
      }
    }
    return written;
  }
}
