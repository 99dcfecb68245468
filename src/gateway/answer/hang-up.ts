// Hears when a caller has gone.
import type { Exchange } from '../exchange.ts';

/** Calls once the caller has gone, at once where it already has; gives what ends the listening, to be called when it does not matter any more. */
export function onHangUp({ request: { socket }, response }: Exchange, call: () => void): () => void {
  response.on('close', call);
  if (response.destroyed || socket.destroyed) call();
  if (response.socket !== null) return () => undefined;
  // A response that stands behind another on its connection does not hear of the hang-up by itself.
  socket.setMaxListeners(0).once('close', call);
  return () => socket.off('close', call);
}
