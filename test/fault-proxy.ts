// A TCP proxy between the gate and a model server that imitates network faults: it delays, trickles, cuts, resets, goes
// silent, and disappears. Faults apply to what the server sends; they can be set and cleared while connections run.
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-ports.ts';

export interface Faults {
  /** Milliseconds before each piece. */
  readonly latency?: number;
  /** Bytes per second. */
  readonly bandwidth?: number;
  /** Cuts into pieces of that many bytes. */
  readonly slicer?: number;
  /** Nothing more passes; the connection stays open. */
  readonly timeout?: true;
  /** After so many bytes the connection ends cleanly. */
  readonly limit?: number;
  /** After so many bytes the connection is reset. */
  readonly reset?: number;
  /** Milliseconds between the server's end and the end passed on. */
  readonly slowClose?: number;
}

export interface FaultProxy {
  readonly url: string;
  faults: Faults;
  /** Connections opened so far. */
  readonly opened: number;
  /** Later connections lead to another server. */
  lead(target: string): void;
  /** Refuses connections, and ends the open ones. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  let led = new URL(target);
  const sockets = new Set<Socket>();
  let opened = 0;
  const own = await freePort();
  const proxy = { faults: {} as Faults };
  const changes = new EventEmitter().setMaxListeners(0);
  const open = async (): Promise<Server> => {
    const server = createServer((client) => {
      opened++;
      const upstream = connect(Number(led.port), led.hostname);
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.setNoDelay(true).on('error', () => undefined);
        socket.on('close', () => sockets.delete(socket));
      }
      client.pipe(upstream);
      client.on('close', () => upstream.destroy());
      void pass(upstream, client, () => proxy.faults, changes);
    });
    server.listen(own, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  let server: Server | undefined = await open();
  const down = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (closing) await new Promise<void>((resolve) => closing.close(() => resolve()));
  };
  return {
    url: `http://127.0.0.1:${own}`,
    get faults() {
      return proxy.faults;
    },
    set faults(faults) {
      proxy.faults = faults;
      changes.emit('change');
    },
    get opened() {
      return opened;
    },
    lead: (next) => {
      led = new URL(next);
    },
    down,
    up: async () => {
      server ??= await open();
    },
    close: down,
  };
}

async function pass(from: Socket, to: Socket, faults: () => Faults, changes: EventEmitter): Promise<void> {
  let passed = 0;
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (const piece of slices(chunk, faults().slicer)) {
        const { latency = 0, bandwidth, limit = Infinity, reset = Infinity } = faults();
        await sleep(latency + (bandwidth === undefined ? 0 : (piece.length / bandwidth) * 1000));
        while (faults().timeout === true && !to.destroyed)
          await Promise.race([once(changes, 'change'), once(to, 'close')]);
        const most = Math.min(limit, reset) - passed;
        // Waits until the system has them: a reset discards what it does not have yet.
        await new Promise((resolve) => to.write(piece.subarray(0, most), resolve));
        passed += piece.length;
        if (piece.length < most) continue;
        if (reset <= limit) to.resetAndDestroy();
        else to.end();
        from.destroy();
        return;
      }
    }
    await sleep(faults().slowClose ?? 0);
  } catch {
    // The server broke off, so the proxy does too.
    to.resetAndDestroy();
    return;
  }
  to.end();
}

function slices(chunk: Buffer, size: number | undefined): Buffer[] {
  if (size === undefined) return [chunk];
  return Array.from({ length: Math.ceil(chunk.length / size) }, (_, at) => chunk.subarray(at * size, (at + 1) * size));
}
