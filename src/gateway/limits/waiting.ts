// A call that waits, in the line of its account or for its turn at a model. While it waits it is one of the active requests, so
// that a revocation or a shutdown ends it too. It stops waiting as soon as its caller hangs up.
import { GatewayError } from '../../domain/error.ts';
import type { ActiveRequests, Run } from '../active-requests.ts';
import type { Shaped } from '../apply-plan.ts';
import type { Exchange } from '../exchange.ts';

export class Waiting<T> implements Run {
  readonly call: Shaped;
  readonly exchange: Exchange;
  readonly deadlineMs = Infinity;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  #outcome: { readonly value: T } | GatewayError | undefined;
  #tell: (() => void) | undefined;

  constructor(call: Shaped, exchange: Exchange) {
    this.call = call;
    this.exchange = exchange;
  }

  /** Resolves when the wait is over, at once if it is over already. @throws the GatewayError that was given to `end`. */
  async over(): Promise<T> {
    if (this.#outcome === undefined) await new Promise<void>((resolve) => (this.#tell = resolve));
    const outcome = this.#outcome;
    if (outcome instanceof GatewayError) throw outcome;
    return (outcome as { readonly value: T }).value;
  }

  /** Only the first call of `proceed` or `end` counts: an admitted call is not refused later, nor a refused one admitted. */
  proceed(value: T): void {
    this.#outcome ??= { value };
    this.#tell?.();
  }

  refuse(code: 'queue_full' | 'queue_timeout'): void {
    this.end(new GatewayError(code));
  }

  end(error: GatewayError): void {
    this.#outcome ??= error;
    this.#tell?.();
  }
}

/** Whether the caller has hung up. */
export const isGone = ({ response, request }: Exchange): boolean => response.destroyed || request.socket.destroyed;

/** Waits until the wait is over, the caller hangs up, or the active requests are ended. */
export async function waitWhileConnected<T>(waiting: Waiting<T>, running: ActiveRequests): Promise<T> {
  const { exchange } = waiting;
  const { response } = exchange;
  const onClose = (): void => waiting.end(new GatewayError('client_closed'));
  const { socket } = exchange.request;
  response.once('close', onClose);
  // With pipelining, a response behind another one on its connection gets no `close` of its own.
  socket.setMaxListeners(0).once('close', onClose);
  running.add(waiting);
  try {
    if (isGone(exchange)) onClose();
    return await waiting.over();
  } finally {
    running.remove(waiting);
    response.off('close', onClose);
    socket.off('close', onClose);
  }
}
