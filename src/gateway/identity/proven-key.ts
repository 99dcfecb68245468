// The key that was last proved over a connection. Clients send the same key with every call, and its checksum, digest and comparison
// cost more than the rest of identification. Says only that a text is the secret of this principal; whether the principal is still
// current is the key cache's to say, for every call.
import type { Socket } from 'node:net';
import type { Principal } from '../../domain/principal.ts';

const proven: unique symbol = Symbol('proven key');

interface Proven {
  readonly text: string;
  readonly principal: Principal;
}

/** A connection, and what was last proved over it. */
export type Proving = Socket & { [proven]?: Proven };

/** The principal whose secret this text was when it was last proved over the connection; undefined for another text. */
export function provenBy(text: string, { [proven]: last }: Proving): Principal | undefined {
  return last && sameText(last.text, text) ? last.principal : undefined;
}

/** `principal`: whose secret the text is. */
export function noteProven(text: string, principal: Principal, connection: Proving): void {
  connection[proven] = { text, principal };
}

/** A proxy may send the calls of several callers over one connection, so the time must not depend on where the texts differ. */
function sameText(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}
