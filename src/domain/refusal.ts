// Something that was asked for and cannot be; its message is one sentence for people. The store throws it out of a
// transaction, which then leaves nothing behind.

/**
 * It cannot be meant so; it is not allowed; nobody shows who asks any more; it is not there; or it does not go together
 * with what is there.
 */
export type RefusalKind = 'invalid' | 'forbidden' | 'unauthenticated' | 'not_found' | 'conflict';

export class Refusal extends Error {
  override name = 'Refusal';
  readonly kind: RefusalKind;

  constructor(message: string, kind: RefusalKind = 'invalid') {
    super(message);
    this.kind = kind;
  }
}
