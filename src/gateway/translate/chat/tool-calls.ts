// Puts the tool calls of a stream in order. A server sends them in pieces, which name their call by its index, and may mix
// the pieces of several; a caller gets one call after the other. The pieces of the first unfinished call are passed on as
// they come, those of later ones are kept until it is complete, which its JSON text shows.
import type { GatewayError } from '../../../domain/error.ts';
import type { Fields } from '../../../upstream/kind.ts';
import { isFields } from '../../answer/model-error.ts';
import { malformed } from '../translation.ts';
import { parseExactly } from './exact-json.ts';

/** Called in this order for each call. */
export interface CallSink {
  begun(id: string, name: string): void;
  /** A piece of the JSON text of its arguments; together an object, unless the answer was cut by its length. */
  argued(text: string): void;
  ended(): void;
}

/** No model calls as many tools in one answer. */
const mostCalls = 256;
/** The same bound as for bodies of callers, who give the arguments back. */
const mostDepth = 64;
const mostArgumentBytes = 4 * 1024 * 1024;
const mostNameBytes = 256;

interface Call {
  readonly id: string;
  readonly name: string;
  readonly text: ArgumentText;
  /** How many pieces of the text were passed on; undefined before the call has begun for the caller. */
  passed: number | undefined;
}

export class ToolCalls {
  readonly #sink: CallSink;
  readonly #take: (bytes: number) => void;
  readonly #newId: (at: number) => string;
  readonly #calls: Call[] = [];
  readonly #byIndex = new Map<number, Call>();
  /** The call whose pieces are passed on. */
  #current = 0;

  /** `take` charges what is kept; `newId` names a call that the server does not name. */
  constructor(sink: CallSink, take: (bytes: number) => void, newId: (at: number) => string) {
    this.#sink = sink;
    this.#take = take;
    this.#newId = newId;
  }

  get count(): number {
    return this.#calls.length;
  }

  /** All calls so far are complete. */
  get areComplete(): boolean {
    return this.#calls.every(({ text }) => text.isComplete);
  }

  /** Takes an element of `tool_calls`. @throws GatewayError `upstream_failed`, `answers_too_many`. */
  add(delta: Fields): void {
    const { function: called = {} } = delta;
    if (!isFields(called)) throw malformed('a tool call without a function');
    const call = this.#find(delta, called['name']);
    const given = called['arguments'] ?? '';
    const text = typeof given === 'string' ? given : isFields(given) ? JSON.stringify(given) : undefined;
    if (text === undefined) throw malformed('arguments of a tool call that are no text');
    if (text !== '') {
      // The caller already has the end of it.
      if (this.#calls.indexOf(call) < this.#current && text.trim() !== '') throw late();
      this.#take(2 * text.length);
      call.text.add(text);
    }
    this.#pass();
  }

  /** Ends every call. `isCut`: the answer reached its length, so the last arguments may be incomplete. */
  end(isCut: boolean): void {
    for (; this.#current < this.#calls.length; this.#current++) {
      const call = this.#calls[this.#current] as Call;
      this.#passOn(call);
      if (call.text.isEmpty) this.#sink.argued('{}');
      else if (!isCut) call.text.check();
      this.#sink.ended();
    }
  }

  #find({ index, id }: Fields, name: unknown): Call {
    const last = this.#calls.at(-1);
    const named = typeof id === 'string' && id !== '' ? id : undefined;
    if (index === undefined || index === null)
      return last && (named === undefined || named === last.id) ? last : this.#open(named, name);
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= mostCalls)
      throw malformed('a tool call with a wrong index');
    const known = this.#byIndex.get(index);
    // Some servers give every call the index 0.
    const isOther = named !== undefined && known?.id !== named && known?.text.isComplete === true;
    if (known && !isOther) return known;
    const call = this.#open(named, name);
    this.#byIndex.set(index, call);
    return call;
  }

  #open(id: string | undefined, name: unknown): Call {
    if (typeof name !== 'string' || name === '' || name.length > mostNameBytes)
      throw malformed('a tool call without a name');
    if (this.#calls.length === mostCalls) throw malformed('too many tool calls');
    if (id !== undefined && id.length > mostNameBytes) throw malformed('a tool call with a long id');
    const call = { id: id ?? this.#newId(this.#calls.length), name, text: new ArgumentText(), passed: undefined };
    this.#calls.push(call);
    return call;
  }

  /** Passes on what the caller may have, and moves to the next call where one is complete. */
  #pass(): void {
    for (; this.#current < this.#calls.length; this.#current++) {
      const call = this.#calls[this.#current] as Call;
      this.#passOn(call);
      if (!call.text.isComplete || this.#current + 1 === this.#calls.length) return;
      call.text.check();
      this.#sink.ended();
    }
  }

  #passOn(call: Call): void {
    if (call.passed === undefined) {
      this.#sink.begun(call.id, call.name);
      call.passed = 0;
    }
    const { pieces } = call.text;
    for (; call.passed < pieces.length; call.passed++) this.#sink.argued(pieces[call.passed] as string);
  }
}

/** The JSON text of a call's arguments as far as it has come. */
class ArgumentText {
  readonly pieces: string[] = [];
  #length = 0;
  #depth = 0;
  #isInText = false;
  #isEscaped = false;
  /** An object has been opened and closed. */
  isComplete = false;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  add(piece: string): void {
    if (this.isComplete) {
      if (piece.trim() === '') return;
      throw late();
    }
    this.pieces.push(piece);
    this.#length += piece.length;
    if (this.#length > mostArgumentBytes) throw malformed('arguments of a tool call without an end');
    for (let at = 0; at < piece.length; at++) this.#step(piece.charCodeAt(at));
  }

  #step(code: number): void {
    if (this.#isInText) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (code === 0x5c) this.#isEscaped = true;
      else if (code === 0x22) this.#isInText = false;
    } else if (code === 0x22) this.#isInText = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++this.#depth > mostDepth) throw malformed('arguments of a tool call that are nested too deep');
    } else if ((code === 0x7d || code === 0x5d) && --this.#depth <= 0) this.isComplete = true;
  }

  /** @throws GatewayError `upstream_failed` unless the text is one JSON object. */
  check(): void {
    argumentsOf(this.pieces.join(''));
  }
}

const late = (): GatewayError => malformed('arguments of a tool call that go on after their end');

/** @throws GatewayError `upstream_failed` unless the text is one JSON object. */
export function argumentsOf(text: string): Fields {
  const value = text === '' ? {} : argumentsIfWhole(text);
  if (!value) throw malformed('arguments of a tool call that are no JSON object');
  return value;
}

/** Undefined if the text is not one JSON object. */
export function argumentsIfWhole(text: string): Fields | undefined {
  try {
    const value = parseExactly(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
