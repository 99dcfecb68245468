// A request that cannot be fulfilled; its message is one sentence for people. Thrown out of a store transaction, it
// rolls the transaction back.

/** Invalid input; not allowed; no longer authenticated; missing; or in conflict with the current state. */
export type RefusalKind = 'invalid' | 'forbidden' | 'unauthenticated' | 'not_found' | 'conflict';

export class Refusal extends Error {
  override name = 'Refusal';
  readonly kind: RefusalKind;

  constructor(message: string, kind: RefusalKind = 'invalid') {
    super(message);
    this.kind = kind;
  }
}
