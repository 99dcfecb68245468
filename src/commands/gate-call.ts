// Sends a call to a running gateway, like any other caller, for what only a gateway can do because it reaches the model
// servers. The key comes from the environment, because other users of the machine can see arguments.
import { type IncomingMessage, type OutgoingHttpHeaders, request as plain } from 'node:http';
import { request as encrypted } from 'node:https';
import { Refusal, type RefusalKind } from '../domain/refusal.ts';
import { loadConfig, tlsMode } from '../settings/config.ts';
import { hostToAsk, Unhealthy } from './health.ts';

export interface GateCall {
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly body: object;
  /** The model servers that it is for, as the header names them; undefined: the gate chooses one. */
  readonly servers: string | undefined;
  /** Undefined: the gate of the settings. */
  readonly url: string | undefined;
}

/** A line of the answer. */
export type Line = Readonly<Record<string, unknown>>;

/** Gives the lines of an answer as they come. @throws Refusal, or Unhealthy if no gate answers. */
export type CallGate = (call: GateCall) => AsyncIterable<Line>;

type Environment = Readonly<Record<string, string | undefined>>;

export const gateCaller = (environment: Environment): CallGate =>
  async function* callGate({ method, path, body, servers, url }) {
    const key = environment['GATE_KEY'];
    if (key === undefined || key === '')
      throw new Refusal(
        'Set the environment variable GATE_KEY to an API key that may do this. There is no option for it, because process lists show options.',
      );
    const address = addressOf(url, environment);
    const text = JSON.stringify(body);
    const headers = {
      'x-api-key': key,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...(servers === undefined ? {} : { 'x-sekisho-servers': servers }),
    };
    const answer = await sendTo(address, path, method, headers, text);
    try {
      const status = answer.statusCode ?? 0;
      for await (const line of linesOf(answer)) {
        const read = readLine(line);
        const fault = faultIn(read);
        if (fault !== undefined) throw new Refusal(fault, kindOf(status));
        yield read;
      }
      if (status !== 200) throw new Refusal(`The gateway answered with status ${status}.`, kindOf(status));
    } finally {
      // Ends the work of the gate too, if the answer has not ended.
      answer.destroy();
    }
  };

function sendTo(
  address: URL,
  path: string,
  method: string,
  headers: OutgoingHttpHeaders,
  text: string,
): Promise<IncomingMessage> {
  const send = address.protocol === 'https:' ? encrypted : plain;
  return new Promise((resolve, reject) => {
    send(new URL(path.slice(1), address), { method, headers })
      .on('response', resolve)
      .on('error', (error) =>
        reject(new Unhealthy(`The gateway cannot be reached at ${address.href}: ${error.message}`)),
      )
      .end(text);
  });
}

/** @throws Unhealthy if the answer breaks off. */
async function* linesOf(answer: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const piece of answer.setEncoding('utf8')) {
      const lines = (rest + (piece as string)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines.filter((line) => line.trim() !== '');
    }
  } catch (error) {
    throw new Unhealthy(`The answer of the gateway was cut off: ${(error as Error).message}`);
  }
  if (rest.trim() !== '') yield rest;
}

/** With a slash at its end, so that paths are added to it. @throws Refusal. */
function addressOf(url: string | undefined, environment: Environment): URL {
  if (url !== undefined) {
    const address = URL.parse(url.endsWith('/') ? url : `${url}/`);
    if (!address || !/^https?:$/.test(address.protocol) || address.username !== '' || address.search !== '')
      throw new Refusal(`"${url}" is not the address of a gateway. Use one such as https://gate.example.com.`);
    return address;
  }
  const config = loadConfig(environment);
  // A key is shown only to whom the certificate names, and that is not known here.
  if (tlsMode(config) !== 'off')
    throw new Refusal('Give the address that the certificate of the gateway names: --url https://….');
  const host = hostToAsk(config);
  return new URL(`http://${host.includes(':') ? `[${host}]` : host}:${config.port}/`);
}

function readLine(line: string): Line {
  try {
    const read: unknown = JSON.parse(line);
    if (typeof read === 'object' && read !== null) return read as Line;
  } catch {
    // Said below.
  }
  throw new Refusal('The server is not a gateway: its answer is not JSON.', 'conflict');
}

/** The sentence of an error, as Ollama's dialect has it. */
function faultIn({ error }: Line): string | undefined {
  if (error === undefined || typeof error === 'string') return error;
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined;
  return typeof message === 'string' ? message : JSON.stringify(error);
}

function kindOf(status: number): RefusalKind {
  if (status === 404) return 'not_found';
  if (status === 401) return 'unauthenticated';
  return status === 400 ? 'invalid' : 'conflict';
}
