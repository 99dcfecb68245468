// Records what a service and a client say to each other: `node test/services/record.ts <address of the service> <file>` listens on a
// free port, passes everything on, and writes the file when it is interrupted. recorded-service.ts plays it again.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { WebSocket, WebSocketServer } from 'ws';
import type { RecordedCall, RecordedSocket, Recording } from './recorded-service.ts';

const [address = '', file = ''] = process.argv.slice(2);
const calls: RecordedCall[] = [];
const sockets: RecordedSocket[] = [];

/** Of a fixture only what does not change from run to run and belongs to no connection. */
const kept = (headers: IncomingMessage['rawHeaders']): [string, string][] =>
  Array.from({ length: headers.length / 2 }, (_, at): [string, string] => [
    headers[2 * at] as string,
    headers[2 * at + 1] as string,
  ]).filter(([name]) => !/^(?:date|connection|keep-alive|transfer-encoding|content-length)$/i.test(name));

async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = Buffer.concat(await request.toArray());
  const { method = '', url = '', headers } = request;
  const onward = send(address + url, { method, headers }).end(body);
  const [answer] = (await once(onward, 'response')) as [IncomingMessage];
  response.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
  const pieces: string[] = [];
  for await (const piece of answer as AsyncIterable<Buffer>) {
    pieces.push(piece.toString('utf8'));
    response.write(piece);
  }
  response.end();
  const call = { method, path: url, asked: body.toString('utf8') };
  calls.push({ ...call, status: answer.statusCode ?? 0, headers: kept(answer.rawHeaders), pieces });
}

const server = createServer((request, response) => void pass(request, response));
const accepting = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
server.on('upgrade', (request, stream, head) => {
  const { url = '', headers } = request;
  const offered = headers['sec-websocket-protocol']?.split(/, */) ?? [];
  const { authorization, origin } = headers;
  const own = { ...(authorization ? { authorization } : {}), ...(origin ? { origin } : {}) };
  const onward = new WebSocket(address.replace('http', 'ws') + url, offered, { headers: own });
  onward.once('open', () =>
    accepting.handleUpgrade(request, stream, head, (caller) => {
      const recorded: RecordedSocket = { path: url, protocol: onward.protocol, messages: [] };
      sockets.push(recorded);
      const note = (from: 'client' | 'service', data: Buffer, isBinary: boolean): void => {
        recorded.messages.push({
          from,
          ...(isBinary ? { base64: data.toString('base64') } : { text: data.toString() }),
        });
      };
      caller.on('message', (data: Buffer, isBinary) => {
        note('client', data, isBinary);
        onward.send(data, { binary: isBinary });
      });
      onward.on('message', (data: Buffer, isBinary) => {
        note('service', data, isBinary);
        caller.send(data, { binary: isBinary });
      });
      caller.on('close', () => onward.close());
      onward.on('close', () => caller.close());
    }),
  );
});
server.listen(0, '127.0.0.1', () =>
  process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`),
);
process.once('SIGINT', () => {
  const recording: Recording = { calls, sockets };
  writeFileSync(file, `${JSON.stringify(recording, undefined, 1)}\n`);
  process.exit(0);
});
