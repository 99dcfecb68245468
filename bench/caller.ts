// One caller of a gate: a kept connection with one request at a time, on bare sockets, because it shares a core with the model
// server and must not be what is measured.
import { connect, type Socket } from 'node:net';
import type { Launched } from './launch.ts';
import { chatBody, chatPath } from './load.ts';

/** Reads just enough of an answer to know where it ends. */
export class Caller {
  readonly #socket: Socket;
  readonly #request: string;
  #text = '';
  #answered: PromiseWithResolvers<void> | undefined;

  static open({ port, keys }: Launched): Promise<Caller> {
    return new Promise((opened, failed) => {
      const socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1');
      socket.once('error', failed).once('connect', () => opened(new Caller(socket, port, keys[0] ?? '')));
    });
  }

  private constructor(socket: Socket, port: number, key: string) {
    const body = chatBody(false);
    const head = `POST ${chatPath.ollama} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nx-api-key: ${key}\r\nContent-Type: application/json\r\n`;
    this.#request = `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    this.#socket = socket.on('data', (text: string) => this.#take(text));
    socket.on('error', (error) => this.#answered?.reject(error));
    socket.on('close', () => this.#answered?.reject(new Error('a connection ended before its answer')));
  }

  call(): Promise<void> {
    this.#answered = Promise.withResolvers();
    this.#socket.write(this.#request);
    return this.#answered.promise;
  }

  close(): true {
    this.#socket.destroy();
    return true;
  }

  #take(text: string): void {
    this.#text += text;
    const head = this.#text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = /content-length: (\d+)/i.exec(this.#text.slice(0, head))?.[1];
    const isWhole =
      length === undefined ? this.#text.endsWith('0\r\n\r\n') : this.#text.length >= head + 4 + Number(length);
    if (!isWhole) return;
    const answer = this.#text;
    this.#text = '';
    const answered = this.#answered;
    this.#answered = undefined;
    if (answer.startsWith('HTTP/1.1 200')) answered?.resolve();
    else answered?.reject(new Error(`an answer was not right: ${answer.slice(0, 200)}`));
  }
}
