// Model servers that answer as those of one kind do, from recordings or from what their documentation says to the byte. A test
// says in which state such a server is and how it reports usage, and sees every request that has reached it.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Heard {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** The body as it came. */
  readonly text: string;
}

/**
 * Where a stream reports its usage. `last`: in an event of its own before `[DONE]`. `every`: in each event, so far. `finish`: in
 * the event that has the reason of the end, beside its choice. `null then last`: null in every other event. `null`: null in
 * every event. `otherwise`: only in other figures of the server. `none`: nowhere. `after an error`: in the event after it.
 */
export type UsageForm =
  | 'last'
  | 'every'
  | 'finish'
  | 'null then last'
  | 'null'
  | 'otherwise'
  | 'none'
  | 'after an error';

export interface State {
  /** Loading: as the kind shows it, if it does. */
  health: 'up' | 'loading' | 'failed';
  usage: UsageForm;
  hasMetrics: boolean;
  /** A stream stops after its first event. */
  isHeld: boolean;
  sleeps: boolean;
  /** What it answers to chats instead; undefined: as its kind does. */
  chat: Said | undefined;
}

export interface Said {
  /** 0: the connection is reset. */
  readonly status?: number;
  readonly type?: string;
  /** Several are the events of a stream. */
  readonly body: string | readonly string[];
}

/** How a kind answers; undefined for a route that it does not have. */
export interface Imitation {
  readonly answer: (heard: Heard, state: State) => Said | undefined;
  /** The body of its 404. */
  readonly missing: string;
  /** It closes the connection after a stream, as llama-server does, without announcing it. */
  readonly closesAfterStreams?: boolean;
}

export interface ImitatedServer {
  readonly url: string;
  readonly heard: Heard[];
  readonly state: State;
  /** Resolves when a client has left before the end of its answer. */
  readonly abandoned: Promise<void>;
  close(): void;
}

export async function imitate({ answer, missing, closesAfterStreams = false }: Imitation): Promise<ImitatedServer> {
  const heard: Heard[] = [];
  const state: State = { health: 'up', usage: 'last', hasMetrics: true, isHeld: false, sleeps: false, chat: undefined };
  const { promise: abandoned, resolve: abandon } = Promise.withResolvers<void>();
  /** Connections that close before the next request is answered. */
  const spent = new WeakSet<object>();
  const server = createServer((request, response) => {
    if (spent.has(request.socket)) {
      request.socket.destroy();
      return;
    }
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const text = Buffer.concat(pieces).toString('utf8');
      const call = { method, url, headers, body: read(text), text };
      heard.push(call);
      const instead = Array.isArray(call.body['messages']) ? state.chat : undefined;
      const said = instead ?? answer(call, state) ?? { status: 404, body: missing };
      response.once('close', () => {
        if (!response.writableFinished) abandon();
        else if (closesAfterStreams && typeof said.body !== 'string') spent.add(request.socket);
      });
      say(response, said, state.isHeld);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    state,
    abandoned,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function say(response: ServerResponse, { status = 200, type, body }: Said, isHeld: boolean): void {
  if (status === 0) {
    response.destroy();
    return;
  }
  const isStream = typeof body !== 'string';
  response.writeHead(status, { 'content-type': type ?? (isStream ? 'text/event-stream' : 'application/json') });
  if (!isStream) response.end(body);
  else if (isHeld) response.write(body[0]);
  else response.end(body.join(''));
}

function read(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

export const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
export const done = 'data: [DONE]\n\n';

/** What such a server does before it listens: nothing. */
export const absent: Said = { status: 0, body: '' };

/** A stream of OpenAI's chat in five pieces. `usage`: that after so many pieces, as the server spells it. */
export function chatStream(
  model: string,
  form: UsageForm,
  usage: (completion: number) => object,
  more: object = {},
): string[] {
  const frame = (choices: readonly object[], reported: object = {}): string =>
    event({
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 1_700_000_000,
      model,
      ...more,
      choices,
      ...reported,
    });
  const of = (tokens: number): object =>
    form === 'every' ? { usage: usage(tokens) } : form.startsWith('null') ? { usage: null } : {};
  const delta = (content: string, end: string | null = null): object[] => [
    { index: 0, delta: { content }, logprobs: null, finish_reason: end },
  ];
  const pieces = [
    frame([{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }], of(0)),
    ...['a', 'b', 'c'].map((text, at) => frame(delta(text), of(at + 1))),
  ];
  const last = frame([], { usage: usage(4) });
  switch (form) {
    case 'after an error':
      return [
        ...pieces,
        event({ error: { message: 'engine failed', type: 'InternalServerError', code: 500 } }),
        last,
        done,
      ];
    case 'finish':
      return [...pieces, frame(delta('', 'stop'), { usage: usage(4) }), done];
    case 'none':
    case 'null':
      return [...pieces, frame(delta('', 'stop'), of(4)), done];
    default:
      return [...pieces, frame(delta('', 'stop'), of(4)), last, done];
  }
}
