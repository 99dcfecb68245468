// The two connections of a tunnel, on real sockets: what each side is told when it ends, and when the record is made.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { GatewayError } from '../../domain/error.ts';
import { closeFrame } from './frames.ts';
import { Tunnel, type TunnelEnd, type TunnelSettings } from './tunnel.ts';

/** The far end of one connection, and all that it was sent. */
class Peer {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  received: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (bytes: Buffer) => (this.received = Buffer.concat([this.received, bytes])));
    socket.on('error', () => undefined);
  }

  async until(bytes: Buffer): Promise<void> {
    while (!this.received.includes(bytes)) await once(this.socket, 'data');
  }
}

const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

async function pair(): Promise<[Socket, Peer]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: false });
  const [near] = (await once(server, 'connection')) as [Socket];
  server.close();
  opened.push(near, far);
  return [near, new Peer(far)];
}

interface Opened {
  readonly tunnel: Tunnel;
  readonly caller: Peer;
  readonly service: Peer;
  readonly ends: TunnelEnd[];
  readonly counts: { readonly bytesIn: number; readonly bytesOut: number };
}

async function open(settings: Partial<TunnelSettings> = {}): Promise<Opened> {
  const [[callerSocket, caller], [serviceSocket, service]] = await Promise.all([pair(), pair()]);
  const ends: TunnelEnd[] = [];
  const counts = { bytesIn: 0, bytesOut: 0 };
  const limits = { maxFrameBytes: 100_000, maxMessageBytes: 200_000 };
  const tunnel = new Tunnel(
    callerSocket,
    serviceSocket,
    { limits, idleMs: 60_000, stallMs: 60_000, ...settings },
    counts,
    (end) => ends.push(end),
  );
  tunnel.open();
  return { tunnel, caller, service, ends, counts };
}

const unmasked = (text: string): Buffer => Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);
/** With a mask of zeros, the payload stays readable. */
const masked = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
const maskedClose = Buffer.from('88820000000003e8', 'hex');
const plainClose = Buffer.from('880203e8', 'hex');
const codeAt = (bytes: Buffer, from: number): number => bytes.readUInt16BE(from + 2);
/** The code of the close frame that the gateway sent to a service, whose mask is random. */
const maskedCode = (bytes: Buffer, from: number): number => bytes.readUInt16BE(from + 6) ^ bytes.readUInt16BE(from + 2);

test('a closing handshake that the caller begins ends both connections, and is recorded before the caller can see it', async () => {
  const { caller, service, ends, counts } = await open();
  caller.socket.write(Buffer.concat([masked('hello'), maskedClose]));
  await service.until(maskedClose);
  expect(ends).toEqual([]);
  service.socket.write(Buffer.concat([unmasked('bye'), plainClose]));
  await caller.until(plainClose);
  expect(ends).toEqual([{ outcome: 'completed' }]);
  await Promise.all([caller.closed, service.closed]);
  expect(caller.received).toEqual(Buffer.concat([unmasked('bye'), plainClose]));
  expect(counts).toEqual({ bytesIn: 19, bytesOut: 9 });
});

test('a closing handshake that the service begins is answered by the caller', async () => {
  const { caller, service, ends } = await open();
  service.socket.write(plainClose);
  await caller.until(plainClose);
  expect(ends).toEqual([{ outcome: 'completed' }]);
  caller.socket.write(maskedClose);
  await service.until(maskedClose);
  await Promise.all([caller.closed, service.closed]);
});

test('a caller who closes gets an answer also where the service only hangs up', async () => {
  const { caller, service, ends } = await open();
  caller.socket.write(maskedClose);
  await service.until(maskedClose);
  service.socket.end();
  await caller.until(plainClose);
  expect(ends).toEqual([{ outcome: 'completed' }]);
  await Promise.all([caller.closed, service.closed]);
});

test('a close code of a failure is recorded as one of the service', async () => {
  const { caller, service, ends } = await open();
  service.socket.write(Buffer.from('880203f3', 'hex'));
  await caller.until(Buffer.from('880203f3', 'hex'));
  expect(ends).toEqual([{ outcome: 'upstream_error' }]);
});

test('an ending by the gateway waits for the rest of a begun frame, and lets nothing else pass', async () => {
  const { tunnel, caller, service, ends } = await open();
  const [begun, next] = [unmasked('a long text'), unmasked('the next')];
  service.socket.write(begun.subarray(0, 6));
  await caller.until(begun.subarray(0, 6));
  tunnel.end(new GatewayError('key_revoked'));
  expect(ends).toEqual([]);
  service.socket.write(Buffer.concat([begun.subarray(6), next]));
  await caller.closed;
  expect(ends).toMatchObject([{ outcome: 'ended', error: { code: 'key_revoked' } }]);
  expect(caller.received.subarray(0, begun.length)).toEqual(begun);
  expect(codeAt(caller.received, begun.length)).toBe(1008);
  expect(caller.received.includes('the next')).toBe(false);
  await service.closed;
  expect(maskedCode(service.received, 0)).toBe(1001);
});

test('a frame whose rest does not come is cut, without a close frame inside it', async () => {
  const { tunnel, caller, service } = await open();
  service.socket.write(unmasked('a long text').subarray(0, 6));
  await caller.until(Buffer.from('a lo'));
  tunnel.end(new GatewayError('draining'));
  await caller.closed;
  expect(caller.received).toEqual(unmasked('a long text').subarray(0, 6));
  await service.closed;
});

test.each([
  ['draining', 1001],
  ['connection_idle', 1001],
  ['connection_over', 1001],
  ['key_expired', 1008],
  ['missing_scope', 1008],
  ['suspended', 1008],
  ['identity_unavailable', 1013],
] as const)('%s closes with %i', async (code, expected) => {
  const { tunnel, caller } = await open();
  tunnel.end(new GatewayError(code));
  await caller.closed;
  expect(codeAt(caller.received, 0)).toBe(expected);
});

test('a fault of the caller is told to the caller, and the service only that the caller leaves', async () => {
  const { caller, service, ends } = await open();
  caller.socket.write(Buffer.concat([masked('good'), unmasked('bad')]));
  await Promise.all([caller.closed, service.closed]);
  expect(codeAt(caller.received, 0)).toBe(1002);
  expect(service.received.subarray(0, 10)).toEqual(masked('good'));
  expect(maskedCode(service.received, 10)).toBe(1001);
  expect(service.received.includes('bad')).toBe(false);
  expect(ends).toMatchObject([{ outcome: 'ended', error: { code: 'bad_frame' } }]);
});

test('a fault of the service is told to the service, and the caller that the service failed', async () => {
  const { caller, service, ends } = await open();
  service.socket.write(masked('bad'));
  await Promise.all([caller.closed, service.closed]);
  expect(codeAt(caller.received, 0)).toBe(1011);
  expect(maskedCode(service.received, 0)).toBe(1002);
  expect(ends).toMatchObject([{ outcome: 'failed', error: { code: 'upstream_failed' } }]);
});

test('a message that is too large is told to its sender', async () => {
  const { caller } = await open({ limits: { maxFrameBytes: 3, maxMessageBytes: 3 } });
  caller.socket.write(masked('four'));
  await caller.closed;
  expect(codeAt(caller.received, 0)).toBe(1009);
});

test('a hang-up of either side ends the other', async () => {
  const gone = await open();
  gone.caller.socket.destroy();
  await gone.service.closed;
  expect(maskedCode(gone.service.received, 0)).toBe(1001);
  expect(gone.ends).toMatchObject([{ outcome: 'client_closed', error: { code: 'client_closed' } }]);
  const broken = await open();
  broken.service.socket.destroy();
  await broken.caller.closed;
  expect(codeAt(broken.caller.received, 0)).toBe(1011);
  expect(broken.ends).toMatchObject([{ outcome: 'failed', error: { code: 'upstream_incomplete' } }]);
});

test('a silent connection ends', async () => {
  const { caller, ends } = await open({ idleMs: 20 });
  await caller.closed;
  expect(ends).toMatchObject([{ outcome: 'ended', error: { code: 'connection_idle' } }]);
});

test('a side that reads nothing holds the other back, and is cut after a time', async () => {
  const { caller, service, ends } = await open({ stallMs: 20, limits: { maxFrameBytes: 1e9, maxMessageBytes: 1e9 } });
  caller.socket.pause();
  const head = Buffer.from('827f0000000010000000', 'hex');
  service.socket.write(Buffer.concat([head, Buffer.alloc(32 * 1024 * 1024)]));
  await service.closed;
  expect(ends).toMatchObject([{ outcome: 'ended', error: { code: 'reader_stalled' } }]);
});

test('a service that reads nothing is cut after a time, and its caller is told that it failed', async () => {
  const { caller, service, ends } = await open({ stallMs: 20, limits: { maxFrameBytes: 1e9, maxMessageBytes: 1e9 } });
  service.socket.pause();
  const head = Buffer.from('82ff000000001000000000000000', 'hex');
  caller.socket.write(Buffer.concat([head, Buffer.alloc(32 * 1024 * 1024)]));
  await caller.until(Buffer.from([0x88]));
  expect(ends).toMatchObject([{ outcome: 'failed', error: { code: 'upstream_timeout' } }]);
  expect(codeAt(caller.received, 0)).toBe(1011);
});

test('the close frames of the gateway are masked for a service only', () => {
  expect((closeFrame(1001, 'x', 'client')[1] as number) & 0x80).toBe(0);
  expect((closeFrame(1001, 'x', 'server')[1] as number) & 0x80).toBe(0x80);
});
