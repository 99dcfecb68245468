// Two ways for a test to open a WebSocket: a real client (undici's), and raw bytes.
import { randomBytes } from 'node:crypto';
import { type Dispatcher, WebSocket } from 'undici';
import { RawClient } from '../gate.ts';

/** What a client has seen of its connection. */
export class SocketClient {
  readonly opened: Promise<void>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly messages: (string | Buffer)[] = [];
  readonly socket: WebSocket;
  #wake: () => void = () => undefined;

  constructor(url: string, headers: Record<string, string> = {}, protocols: string[] = [], dispatcher?: Dispatcher) {
    const options = { headers, protocols, ...(dispatcher ? { dispatcher } : {}) };
    this.socket = new WebSocket(url.replace(/^http/, 'ws'), options);
    this.socket.binaryType = 'arraybuffer';
    this.opened = new Promise((resolve, reject) => {
      this.socket.addEventListener('open', () => resolve());
      this.socket.addEventListener('error', () => reject(new Error('the WebSocket was not opened')));
    });
    this.opened.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener('close', ({ code, reason }) => {
        this.#wake();
        resolve({ code, reason });
      });
    });
    this.socket.addEventListener('message', ({ data }) => {
      this.messages.push(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer));
      this.#wake();
    });
  }

  /** The message with this number, which may still have to come. */
  async message(at: number): Promise<string | Buffer> {
    while (this.messages.length <= at) {
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`only ${this.messages.length} messages came`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.messages[at] as string | Buffer;
  }
}

export interface RawUpgrade {
  readonly path: string;
  /** Lines beside those of a correct handshake. */
  readonly lines?: readonly string[];
  /** In the place of a line of the handshake; undefined leaves it out. */
  readonly instead?: Readonly<Record<string, string | undefined>>;
  readonly after?: string | Buffer;
}

/** The bytes of a handshake, and what follows them at once. */
export function upgradeBytes({ path, lines = [], instead = {}, after = '' }: RawUpgrade): Buffer {
  const head: Record<string, string | undefined> = {
    Host: 'gate.example',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...instead,
  };
  const own = Object.entries(head).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  const text = [`GET ${path} HTTP/1.1`, ...own, ...lines].map((line) => `${line}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), Buffer.from(after)]);
}

/** Sends it, waits until the gate has closed the connection, and returns everything that came. */
export async function refusedUpgrade(
  port: number,
  asked: RawUpgrade,
): Promise<{ status: number; text: string; answers: number }> {
  const client = new RawClient(port);
  client.write(upgradeBytes(asked));
  await client.closed;
  const found = [...client.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)];
  return { status: Number(found[0]?.[1] ?? 0), text: client.text, answers: found.length };
}

/** A frame of a client, masked with zeros, so that its payload stays readable. */
export function clientFrame(code: number, payload: string | Buffer = '', { final = true, masked = true } = {}): Buffer {
  const bytes = Buffer.from(payload);
  const wide = bytes.length > 125;
  const head = Buffer.alloc(wide ? 4 : 2);
  head[0] = (final ? 0x80 : 0) | code;
  head[1] = (masked ? 0x80 : 0) | (wide ? 126 : bytes.length);
  if (wide) head.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), bytes]);
}
