// A WebSocket server for imitations of services, written from RFC 6455 without any code of the gate. It holds whole messages, and
// shows what it was sent.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
}

/** A connection that the service has accepted. */
export class ServiceSocket {
  readonly asked: Asked;
  readonly closed: Promise<void>;
  /** Complete messages; text as strings. */
  readonly messages: (string | Buffer)[] = [];
  /** Of the peer's close frame; 1005 for one without, 1006 if there was none. */
  closedWith = 1006;
  pings = 0;
  onMessage: (message: string | Buffer) => void = () => undefined;
  readonly stream: Duplex;
  #bytes: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #isText = false;
  #answersClose: boolean;

  constructor(asked: Asked, stream: Duplex, head: Buffer, answersClose: boolean) {
    this.asked = asked;
    this.stream = stream;
    this.#answersClose = answersClose;
    this.closed = new Promise((resolve) => stream.once('close', () => resolve()));
    stream.on('error', () => stream.destroy());
    stream.on('end', () => stream.end());
    stream.on('data', (bytes: Buffer) => this.#read(bytes));
    if (head.length > 0) this.#read(head);
  }

  send(message: string | Uint8Array): void {
    this.frame(typeof message === 'string' ? 1 : 2, Buffer.from(message as string));
  }

  frame(code: number, payload: Buffer, final = true): void {
    const { length } = payload;
    const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
    head[0] = (final ? 0x80 : 0) | code;
    head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
    if (head.length === 4) head.writeUInt16BE(length, 2);
    if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
    this.stream.write(Buffer.concat([head, payload]));
  }

  close(code = 1000, reason = ''): void {
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    this.frame(8, payload);
  }

  #read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#takeFrame());
  }

  #takeFrame(): boolean {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const short = (bytes[1] as number) & 0x7f;
    const maskAt = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < maskAt + 4) return false;
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    const end = maskAt + 4 + length;
    if (bytes.length < end) return false;
    if (((bytes[1] as number) & 0x80) === 0) {
      this.close(1002);
      return false;
    }
    const payload = Buffer.from(bytes.subarray(maskAt + 4, end));
    for (let at = 0; at < length; at++) payload[at] = (payload[at] as number) ^ (bytes[maskAt + (at & 3)] as number);
    this.#bytes = bytes.subarray(end);
    this.#take((bytes[0] as number) & 0x0f, (bytes[0] as number) >= 0x80, payload);
    return true;
  }

  #take(code: number, final: boolean, payload: Buffer): void {
    if (code === 8) {
      this.closedWith = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      if (this.#answersClose) {
        this.frame(8, payload);
        this.stream.end();
      }
    } else if (code === 9) {
      this.pings++;
      this.frame(10, payload);
    } else if (code <= 2) {
      if (code > 0) this.#isText = code === 1;
      this.#parts.push(payload);
      if (!final) return;
      const whole = Buffer.concat(this.#parts);
      this.#parts = [];
      const message = this.#isText ? whole.toString('utf8') : whole;
      this.messages.push(message);
      this.onMessage(message);
    }
  }
}

export interface Service {
  /** `accept` opens the WebSocket, perhaps with a subprotocol; without it `refuse` answers. */
  readonly onUpgrade: (asked: Asked, accept: (protocol?: string) => ServiceSocket, refuse: Refusal) => void;
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => unknown;
  /** False: it leaves a close frame unanswered. */
  readonly answersClose?: boolean;
}

/** Writes anything instead of a 101. */
export type Refusal = (text: string) => void;

export interface RunningService {
  readonly url: string;
  readonly port: number;
  readonly asked: Asked[];
  readonly sockets: ServiceSocket[];
  close(): Promise<void>;
}

export const acceptFor = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

export async function startService({ onUpgrade, onRequest, answersClose = true }: Service): Promise<RunningService> {
  const asked: Asked[] = [];
  const sockets: ServiceSocket[] = [];
  const streams = new Set<Duplex>();
  const server = createServer((request, response) => {
    asked.push(askedOf(request));
    // A caller may leave in the middle of a request.
    Promise.resolve(onRequest(request, response)).catch(() => response.destroy());
  });
  server.on('connection', (stream: Duplex) => {
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
  });
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const call = askedOf(request);
    asked.push(call);
    stream.on('error', () => stream.destroy());
    const accept = (protocol?: string): ServiceSocket => {
      stream.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          `Sec-WebSocket-Accept: ${acceptFor(request.headers['sec-websocket-key'] ?? '')}\r\n` +
          `${protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`}\r\n`,
      );
      const socket = new ServiceSocket(call, stream, head, answersClose);
      sockets.push(socket);
      return socket;
    };
    onUpgrade(call, accept, (text) => stream.write(text));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    asked,
    sockets,
    close: async () => {
      for (const stream of streams) stream.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const askedOf = ({ method = '', url = '', headers, rawHeaders }: IncomingMessage): Asked => ({
  method,
  url,
  headers,
  rawHeaders,
});
