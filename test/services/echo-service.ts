// A service that notes every request to the byte and answers as a test tells it.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly url: string;
  /** In lower case; several of one name joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly trailers: readonly string[];
}

export interface EchoService {
  readonly url: string;
  /** Requests whose body was read to its end. */
  readonly seen: Seen[];
  /** Requests whose head arrived. */
  heads: number;
  /** Requests whose connection broke before their answer was complete. */
  broken: number;
  /** What the next requests get; by default their head and body as JSON. */
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
  /** Requests that are to be answered before their body has arrived. */
  early: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  stop(): Promise<void>;
}

const echo: EchoService['answer'] = (request, response, body) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }));
};

export async function startEchoService(port = 0): Promise<EchoService> {
  const server = createServer((request, response) => {
    service.heads++;
    response.once('close', () => {
      if (!response.writableFinished) service.broken++;
    });
    if (service.early?.(request, response) === true) return;
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('error', () => undefined);
    request.on('end', () => {
      const body = Buffer.concat(pieces).toString();
      service.seen.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(', ') : (value ?? ''),
          ]),
        ),
        body,
        trailers: request.rawTrailers,
      });
      service.answer(request, response, body);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const service: EchoService = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    heads: 0,
    broken: 0,
    answer: echo,
    early: undefined,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return service;
}

/** Answers as `startEchoService` does by default. */
export const echoAnswer = echo;
