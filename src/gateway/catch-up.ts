// Before a caller is identified, the gate has to know what the other gates of its database know. A process that was frozen for longer
// than the others wait for it may have missed that a key was revoked: its next call waits until that is read again.
import type { Soon } from '../domain/soon.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { Addressed } from './ask.ts';
import type { Exchange } from './exchange.ts';

declare class Mark {
  protected readonly current: true;
}
/** Proof that this gate has missed nothing. */
export interface Current extends Addressed, Mark {}

export interface CatchUpTools {
  /** Until then this gate knows as much as the others. */
  readonly gates: { readonly certainUntilMs: MonotonicMs };
  /**
   * Reads what it may have missed. @throws GatewayError `draining` if another gate has taken its place, `identity_unavailable` if
   * that is not known.
   */
  readonly catchUp: () => Promise<void>;
}

export function catchUp(
  asked: Addressed,
  { startedMs }: Pick<Exchange, 'startedMs'>,
  tools: CatchUpTools,
): Soon<Current> {
  if (startedMs <= tools.gates.certainUntilMs) return asked as Current;
  return tools.catchUp().then(() => asked as Current);
}
