// The form of a stream: where one of its frames ends, and how a failure is told in the last one. A stream that fails never
// ends as if it were complete: after its last frame the connection is cut.
import type { GatewayError } from '../../domain/error.ts';
import type { ModelError } from '../answer/model-error.ts';

export interface Frames {
  /** Server-sent events, between which comments may stand (HTML standard, section 9.2.6); otherwise lines. */
  readonly areEvents: boolean;
  /** Does a frame end with these two bytes? They are the last ones sent, as one number. */
  readonly endWith: (twoBytes: number) => boolean;
  /** The last frame where the gateway ends the stream. `midFrame`: a frame was cut, and is closed off first. */
  readonly spellError: (error: GatewayError, requestId: string, midFrame: boolean) => string;
  /** The last frame where the model server has answered with an error. */
  readonly spellModelError: (error: ModelError, status: number, requestId: string) => string;
}

type Spelling = Pick<Frames, 'spellModelError'> & {
  readonly spellError: (error: GatewayError, requestId: string) => string;
};

/** Lines of JSON. Both spellings are a line without its end. */
export function lineFrames({ spellError, spellModelError }: Spelling): Frames {
  return {
    areEvents: false,
    endWith: (twoBytes) => (twoBytes & 0xff) === 0x0a,
    spellError: (error, requestId, midFrame) => `${midFrame ? '\n' : ''}${spellError(error, requestId)}\n`,
    spellModelError: (error, status, requestId) => `${spellModelError(error, status, requestId)}\n`,
  };
}

/** Server-sent events. Both spellings are the data of one; `name` is what is said of it in a field `event`. */
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
