// Reads single gauges from a server's metrics in the Prometheus text format. Only the named ones are kept, whatever else a
// server says, and of its answer no more than a bound is read.
import { readWhole } from './bounded-answer.ts';
import type { Reached } from './kind.ts';

/** A vLLM server with many labels has some hundred kilobytes. */
const mostBytes = 2 * 1024 * 1024;
const mostFigure = 1_000_000;

/** The sums over all labels, by name; undefined if the server has no such route. @throws if it cannot be read. */
export async function readGauges(
  server: Reached,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number> | undefined> {
  const answer = await server.dispatcher.request({
    method: 'GET',
    path: `${server.basePath}/metrics`,
    headers: [...server.credentials.headers],
    headersTimeout: 0,
    bodyTimeout: 0,
    signal,
  });
  const bytes = await readWhole(answer.body, mostBytes);
  return answer.statusCode === 200 ? gaugesIn(bytes.toString('utf8'), names) : undefined;
}

export function gaugesIn(text: string, names: readonly string[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const name = names.find((each) => line.startsWith(each) && /[ {]/.test(line.charAt(each.length)));
    if (name === undefined) continue;
    // A label may hold spaces; a time after the value is not written by any of these servers.
    const figure = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (figure >= 0 && figure <= mostFigure) found.set(name, (found.get(name) ?? 0) + Math.round(figure));
  }
  return found;
}
