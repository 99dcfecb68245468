// The format of a stream: where a frame ends, and how the last frame reports a failure. A failed stream never ends like
// a complete one: after its last frame the connection is cut.
import type { GatewayError } from '../../domain/error.ts';
import type { ModelError } from '../answer/model-error.ts';

export interface Frames {
  /** Server-sent events, between which comments are allowed (HTML standard §9.2.6); otherwise lines. */
  readonly areEvents: boolean;
  /** Whether a frame ends with these two bytes, the last ones sent, given as one number. */
  readonly endWith: (twoBytes: number) => boolean;
  /** The last frame if the gateway ends the stream. `midFrame`: an incomplete frame is terminated first. */
  readonly spellError: (error: GatewayError, requestId: string, midFrame: boolean) => string;
  /** The last frame if the model server has answered with an error. */
  readonly spellModelError: (error: ModelError, status: number, requestId: string) => string;
}

type Spelling = Pick<Frames, 'spellModelError'> & {
  readonly spellError: (error: GatewayError, requestId: string) => string;
};

/** Lines of JSON. Both formats are a line without its end. */
export function lineFrames({ spellError, spellModelError }: Spelling): Frames {
  return {
    areEvents: false,
    endWith: (twoBytes) => (twoBytes & 0xff) === 0x0a,
    spellError: (error, requestId, midFrame) => `${midFrame ? '\n' : ''}${spellError(error, requestId)}\n`,
    spellModelError: (error, status, requestId) => `${spellModelError(error, status, requestId)}\n`,
  };
}

/** Server-sent events. Both formats are the data of an event; `name` is the value of its `event` field. */
export function eventFrames(name: string | undefined, { spellError, spellModelError }: Spelling): Frames {
  const before = name === undefined ? '' : `event: ${name}\n`;
  return {
    areEvents: true,
    endWith: (twoBytes) => twoBytes === 0x0a0a,
    spellError: (error, requestId, midFrame) =>
      `${midFrame ? '\n\n' : ''}${before}data: ${spellError(error, requestId)}\n\n`,
    spellModelError: (error, status, requestId) =>
      `${before}data: ${spellModelError(error, status, requestId).trimEnd()}\n\n`,
  };
}
