// For all tests of a file: a model server that answers every call, except the gate's own probes, in the one way that a test
// has set, and a gate in front of it.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll } from 'vitest';
import { openGate, type TestGate } from './gate.ts';

export interface SingleAnswer {
  readonly gate: TestGate;
  /** Sets the answer to every later call. */
  answer: (response: ServerResponse) => void;
}

/** Call this at the top of a test file; `gate` exists once the first test or hook runs. */
export function singleAnswer(): SingleAnswer {
  let gate: TestGate | undefined;
  const single: SingleAnswer = {
    get gate() {
      if (!gate) throw new Error('no test runs yet');
      return gate;
    },
    answer: (response) => response.end(),
  };
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      if (request.url === '/api/tags') response.end('{"models":[]}');
      else single.answer(response);
    });
  });
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    gate = await openGate(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterAll(async () => {
    await gate?.stop();
    server.closeAllConnections();
    server.close();
  });
  return single;
}
