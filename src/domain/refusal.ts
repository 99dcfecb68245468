// A request that cannot be fulfilled; its message is one sentence for people. Thrown out of a store transaction, it
// rolls the transaction back.
import { fill, type ParametersOf, type Reason, type Said, say } from './sentences.ts';

/** Invalid input; not allowed; no longer authenticated; missing; or in conflict with the current state. */
export type RefusalKind = 'invalid' | 'forbidden' | 'unauthenticated' | 'not_found' | 'conflict';

export class Refusal extends Error {
  override name = 'Refusal';
  readonly kind: RefusalKind;
  /** Undefined for a sentence of the command line, which only a terminal shows. */
  readonly said: Said | undefined;

  constructor(message: string | Said, kind: RefusalKind = 'invalid') {
    super(typeof message === 'string' ? message : fill(message));
    this.kind = kind;
    this.said = typeof message === 'string' ? undefined : message;
  }
}

/** A refusal with a sentence of the catalogue. */
export const refusal = <R extends Reason>(reason: R, parameters: ParametersOf<R>, kind?: RefusalKind): Refusal =>
  new Refusal(say(reason, parameters), kind);
