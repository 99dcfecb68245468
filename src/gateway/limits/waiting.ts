// A call that waits: in the line of its account, or for its turn at a model. While it waits it stands among the active requests,
// so that whatever ends those ends it too, and it leaves as soon as its caller hangs up.
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

  /** The end of the wait, which may have come already. @throws GatewayError of `end`. */
  async over(): Promise<T> {
    if (this.#outcome === undefined) await new Promise<void>((resolve) => (this.#tell = resolve));
    const outcome = this.#outcome;
    if (outcome instanceof GatewayError) throw outcome;
    return (outcome as { readonly value: T }).value;
  }

  /** The first end counts: a call that was let through is not refused any more, and the other way round. */
  goOn(value: T): void {
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

/** Has the caller hung up? */
export const isGone = ({ response, request }: Exchange): boolean => response.destroyed || request.socket.destroyed;

/** Waits as long as the caller is there, and as long as nothing ends those that run and wait. */
export async function whileThere<T>(waiting: Waiting<T>, running: ActiveRequests): Promise<T> {
  const { exchange } = waiting;
  const { response } = exchange;
  const onClose = (): void => waiting.end(new GatewayError('client_closed'));
  const { socket } = exchange.request;
  response.once('close', onClose);
  // A response that stands behind another on its connection does not hear of the hang-up by itself.
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
