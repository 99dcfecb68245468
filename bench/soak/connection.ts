// A caller's connection: kept alive, one request at a time, left at whatever moment the caller chooses. It reads no more of
// an answer than a soak needs, because it shares a core with the model server.
import { connect, type Socket } from 'node:net';
import { piece } from './mix.ts';

export interface Heard {
  /** 0 if no head arrived. */
  readonly status: number;
  /** The gate's id of the exchange; undefined if no head arrived. */
  readonly id: string | undefined;
  /** Pieces that were read. */
  readonly seen: number;
  /** `left`: by the caller. `cut`: by the gate, before the answer's end. */
  readonly end: 'whole' | 'cut' | 'left' | 'too late';
}

/** When to leave; without any of them the answer is read to its end. */
export interface Leaving {
  /** As soon as the request has been handed to the system. */
  readonly atOnce?: boolean;
  readonly afterMs?: number;
  /** Once so many pieces were read. */
  readonly atPiece?: number;
}

const answerTimeoutMs = 60_000;

export class Connection {
  readonly #port: number;
  #socket: Socket | undefined;
  #exchange: Hearing | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Never rejects. */
  ask(request: string, leaving: Leaving): Promise<Heard> {
    return new Promise((resolve) => {
      const socket = this.#open();
      const finish = (end: Heard['end']): void => {
        if (this.#exchange !== hearing) return;
        this.#exchange = undefined;
        clearTimeout(timer);
        if (end !== 'whole' || hearing.closes) this.close();
        resolve({ status: hearing.status, id: hearing.id, seen: hearing.seen, end });
      };
      const hearing = new Hearing(leaving, finish);
      this.#exchange = hearing;
      let timer = setTimeout(() => finish('too late'), answerTimeoutMs);
      // A caller leaves only after the system has the whole request: what was never sent is not an exchange.
      socket.write(request, 'latin1', (error) => {
        if (error || this.#exchange !== hearing) return;
        if (leaving.atOnce) finish('left');
        if (leaving.afterMs === undefined) return;
        clearTimeout(timer);
        timer = setTimeout(() => finish('left'), leaving.afterMs);
      });
    });
  }

  /** The caller hangs up. */
  leave(): void {
    this.#exchange?.finish('left');
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    if (this.#socket) return this.#socket;
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    const mine = (): boolean => this.#socket === socket;
    socket.on('data', (bytes) => mine() && this.#exchange?.read(bytes as Buffer));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (!mine()) return;
      this.#socket = undefined;
      this.#exchange?.finish('cut');
    });
    return socket;
  }
}

/** The part of an answer that has arrived. */
class Hearing {
  readonly finish: (end: Heard['end']) => void;
  readonly #leaving: Leaving;
  status = 0;
  id: string | undefined;
  seen = 0;
  closes = false;
  #text = '';
  #scanned = 0;
  /** Where the body begins, and where it ends; undefined while that is not known. */
  #bodyAt: number | undefined;
  #endsAt: number | undefined;

  constructor(leaving: Leaving, finish: (end: Heard['end']) => void) {
    this.#leaving = leaving;
    this.finish = finish;
  }

  read(bytes: Buffer): void {
    this.#text += bytes.toString('latin1');
    if (this.#bodyAt === undefined && !this.#readHead()) return;
    for (let at = this.#text.indexOf(piece, this.#scanned); at >= 0; at = this.#text.indexOf(piece, this.#scanned)) {
      this.seen++;
      this.#scanned = at + piece.length;
    }
    if (this.#isWhole()) this.finish('whole');
    else if (this.seen >= (this.#leaving.atPiece ?? Infinity)) this.finish('left');
  }

  #readHead(): boolean {
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#text.slice(0, end).toLowerCase();
    this.status = Number(head.slice(9, 12));
    this.id = /\r\nx-request-id: (\S+)/i.exec(this.#text.slice(0, end))?.[1];
    this.closes = /\r\nconnection: close/.test(head);
    const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
    this.#bodyAt = end + 4;
    this.#scanned = end;
    this.#endsAt = length === undefined ? undefined : this.#bodyAt + Number(length);
    return true;
  }

  #isWhole(): boolean {
    if (this.#endsAt !== undefined) return this.#text.length >= this.#endsAt;
    return this.#text.endsWith('\r\n0\r\n\r\n');
  }
}
