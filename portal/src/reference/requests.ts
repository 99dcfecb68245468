// A request as it is tried: how it is sent from the page, what came back, and the same as a line for curl.
import { Problem, raw } from '../api.ts';
import { i18n } from '../words.ts';
import type { Entry } from './catalogue.ts';

export interface Asked {
  readonly entry: Entry;
  /** By name; empty ones are left out. */
  readonly values: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answered {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** Only the beginning was read. */
  readonly isCut: boolean;
  readonly ms: number;
}

/** The path with its parameters and query. */
export function targetOf({ entry, values }: Asked): string {
  const valueOf = (name: string): string => values[name] ?? '';
  const path = entry.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(valueOf(name)));
  const query = entry.parameters.filter((each) => each.in === 'query' && valueOf(each.name) !== '');
  const search = new URLSearchParams(query.map(({ name }) => [name, valueOf(name)])).toString();
  return search === '' ? path : `${path}?${search}`;
}

const headersOf = ({ entry, values, body }: Asked): Record<string, string> => ({
  ...Object.fromEntries(
    entry.parameters.flatMap((each) =>
      each.in === 'header' && (values[each.name] ?? '') !== ''
        ? [[each.name.toLowerCase(), values[each.name] ?? '']]
        : [],
    ),
  ),
  ...(entry.body && body !== '' ? { 'content-type': 'application/json' } : {}),
});

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** For a shell, with the key in a variable: a key that is pasted into a line stays in its history. */
export function curlOf(asked: Asked, origin: string): string {
  const { entry, body } = asked;
  const lines = [
    `curl ${entry.method === 'GET' ? '' : entry.method === 'HEAD' ? '--head ' : `-X ${entry.method} `}${quoted(origin + targetOf(asked))}`,
    ...(entry.needs === 'nothing' ? [] : ['-H "x-api-key: $SEKISHO_KEY"']),
    ...Object.entries(headersOf(asked)).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(entry.body && body !== '' ? [`--data ${quoted(body)}`] : []),
  ];
  return lines.join(' \\\n  ');
}

/** What a page can show at once; an answer without end (events) is cut too. */
const mostCharacters = 100_000;
const mostMs = 120_000;

/** @throws Problem where no answer comes. */
export async function send(asked: Asked, secret: () => Promise<string>): Promise<Answered> {
  const { entry, body } = asked;
  const begun = performance.now();
  const gone = new AbortController();
  const request = {
    method: entry.method,
    headers: headersOf(asked),
    ...(entry.body && body !== '' ? { body } : {}),
    signal: gone.signal,
  };
  const timer = setTimeout(() => gone.abort(), mostMs);
  try {
    const response =
      entry.of === 'management'
        ? await raw(targetOf(asked), request)
        : await withKey(targetOf(asked), request, await secret());
    const { text, isCut } = await beginningOf(response, gone);
    return {
      status: response.status,
      headers: [...response.headers].toSorted(([a], [b]) => a.localeCompare(b)),
      body: pretty(text, response.headers.get('content-type') ?? ''),
      isCut,
      ms: Math.round(performance.now() - begun),
    };
  } finally {
    clearTimeout(timer);
  }
}

/** Cookies open no model, so these calls have the key of the page. */
async function withKey(target: string, request: RequestInit, secret: string): Promise<Response> {
  try {
    return await fetch(target, {
      ...request,
      credentials: 'omit',
      headers: { ...(request.headers as Record<string, string>), 'x-api-key': secret },
    });
  } catch {
    throw new Problem(0, 'unreachable', i18n.t('trouble.unreachable'));
  }
}

async function beginningOf(response: Response, gone: AbortController): Promise<{ text: string; isCut: boolean }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const isStream =
    response.headers.get('content-type')?.startsWith('text/event-stream') === true && response.url.endsWith('/events');
  try {
    for (;;) {
      const piece = await reader?.read();
      if (!piece || piece.done) return { text, isCut: false };
      text += piece.value;
      if (text.length > mostCharacters || (isStream && text.includes('\n\n'))) {
        gone.abort();
        return { text: text.slice(0, mostCharacters), isCut: true };
      }
    }
  } catch {
    return { text, isCut: true };
  }
}

function pretty(text: string, type: string): string {
  if (!/\bjson\b/.test(type)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
