// Notices when a caller disconnects.
import type { Exchange } from '../exchange.ts';

/** Calls `call` once the caller has disconnected, perhaps at once. Returns a function that stops listening. */
export function onHangUp({ request: { socket }, response }: Exchange, call: () => void): () => void {
  response.on('close', call);
  if (response.destroyed || socket.destroyed) call();
  if (response.socket !== null) return () => undefined;
  // A response queued behind another on its connection gets no 'close' event by itself.
  socket.setMaxListeners(0).once('close', call);
  return () => socket.off('close', call);
}
