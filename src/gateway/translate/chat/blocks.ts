// Cuts the answer of a chat into blocks: thoughts, text, a refusal, one call of a tool after the other. Each has a beginning,
// pieces and an end before the next one begins, as the other dialects write them.
import type { Fields } from '../../../upstream/kind.ts';
import { malformed } from '../translation.ts';
import type { ChatSink, ChatUsage } from './chat-events.ts';
import { Repeated } from './repeated.ts';
import { ToolCalls } from './tool-calls.ts';

export type BlockType = 'thought' | 'said' | 'refused' | 'call';

export interface BlockSink {
  /** `id` and `name` are those of a call, and empty for other blocks. */
  opened(type: BlockType, id: string, name: string): void;
  /** Text, or for a call a piece of the JSON text of its arguments. */
  added(text: string): void;
  closed(): void;
}

export class Blocks implements ChatSink {
  reason: string | undefined;
  /** The text at which the server stopped, if it says so. */
  stop: string | undefined;
  hasRefusal = false;
  readonly #sink: BlockSink;
  readonly #take: (bytes: number) => void;
  readonly #calls: ToolCalls;
  readonly #repeated: Repeated;
  #open: BlockType | undefined;
  /** Text that came while the arguments of a call were incomplete: it follows them. */
  #late = '';
  #pieces = 0;
  #usage: ChatUsage | undefined;

  /**
   * `take` charges what is kept; `newId` names a call that the server does not name; `repeated` is left out where the text
   * begins with it.
   */
  constructor(sink: BlockSink, take: (bytes: number) => void, newId: (at: number) => string, repeated: string) {
    this.#sink = sink;
    this.#take = take;
    this.#repeated = new Repeated(repeated);
    this.#calls = new ToolCalls(
      {
        begun: (id, name) => this.#begin('call', id, name),
        argued: (text) => this.#sink.added(text),
        ended: () => this.#close(),
      },
      take,
      newId,
    );
  }

  get hasCalls(): boolean {
    return this.#calls.count > 0;
  }

  /** The answer reached its length or was stopped, so its last block may be incomplete. */
  get isCut(): boolean {
    return this.reason === 'length' || this.reason === 'content_filter';
  }

  /** What the server reported, or the pieces that came. */
  get usage(): ChatUsage {
    return this.#usage ?? { prompt: 0, completion: this.#pieces, cached: 0, reasoning: undefined };
  }

  /** Call once, after the last piece. @throws GatewayError `upstream_failed`. */
  end(): void {
    this.#giveHeld();
    this.#calls.end(this.isCut);
    const late = this.#late;
    this.#late = '';
    if (late !== '') this.#write('said', late);
    this.#close();
  }

  thought(text: string): void {
    if (!this.#calls.areComplete) throw malformed('thoughts within a tool call');
    this.#pieces++;
    this.#write('thought', text);
  }

  said(piece: string): void {
    this.#pieces++;
    const text = this.#repeated.after(piece);
    if (text === '') return;
    if (this.#calls.areComplete) {
      this.#write('said', this.#late + text);
      this.#late = '';
      return;
    }
    this.#take(2 * text.length);
    this.#late += text;
  }

  refused(text: string): void {
    this.hasRefusal = true;
    this.#pieces++;
    this.#write('refused', text);
  }

  called(delta: Fields): void {
    this.#pieces++;
    this.#giveHeld();
    this.#calls.add(delta);
  }

  finished(reason: string, stop: string | undefined): void {
    this.reason = reason;
    this.stop = stop;
  }

  used(usage: ChatUsage): void {
    this.#usage = usage;
  }

  /** Nothing more of the beginning will come. */
  #giveHeld(): void {
    const held = this.#repeated.rest();
    if (held !== '') this.#write('said', held);
  }

  #write(type: BlockType, text: string): void {
    if (this.#open !== type) {
      this.#calls.end(false);
      this.#begin(type, '', '');
    }
    this.#sink.added(text);
  }

  #begin(type: BlockType, id: string, name: string): void {
    this.#close();
    this.#open = type;
    this.#sink.opened(type, id, name);
  }

  #close(): void {
    if (this.#open === undefined) return;
    this.#open = undefined;
    this.#sink.closed();
  }
}

/** A block of a whole answer. */
export interface Block {
  readonly type: BlockType;
  readonly id: string;
  readonly name: string;
  text: string;
}

/** Collects the blocks of a whole answer. */
export class BlockList implements BlockSink {
  readonly blocks: Block[] = [];

  opened(type: BlockType, id: string, name: string): void {
    this.blocks.push({ type, id, name, text: '' });
  }

  added(text: string): void {
    (this.blocks.at(-1) as Block).text += text;
  }

  closed(): void {
    // A block of a list needs no end.
  }
}
