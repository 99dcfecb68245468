// The parts of a body that differ between model servers: figures that depend on what a server reports about its models.
// The call has one body, with room for the longest figures, and each try writes its server's figures into it: a body
// per server would use the memory of a large one several times, outside its budget.
import { type Edit, splice } from './payload/strict-json.ts';

/** The changes of a body for one model server; edits are in order and do not overlap. */
export interface ForServer {
  /** Any object that identifies the server. */
  readonly server: object;
  readonly edits: readonly Edit[];
  readonly changes: readonly string[];
}

export interface Figured {
  /** Where they are in the body. */
  readonly places: readonly number[];
  readonly byServer: ReadonlyMap<object, { readonly texts: readonly string[]; readonly changes: readonly string[] }>;
}

/** The body for the first server, and the figures of the others where they differ. */
export function figureFor(
  bytes: Buffer,
  first: ForServer,
  others: readonly ForServer[],
): { readonly body: Buffer; readonly figured: Figured | undefined } {
  if (others.length === 0)
    return { body: first.edits.length > 0 ? splice(bytes, first.edits) : bytes, figured: undefined };
  const servers = [first, ...others];
  const keyed = servers.map(({ edits }) => byPlace(edits));
  const all = new Map(keyed.flatMap((edits) => [...edits]));
  const edits: Edit[] = [];
  const places: number[] = [];
  const texts = servers.map((): string[] => []);
  let shift = 0;
  for (const [key, { start, end }] of [...all].toSorted(([, a], [, b]) => a.start - b.start)) {
    const figures = keyed.map((each) => each.get(key)?.text ?? bytes.toString('utf8', start, end));
    const most = Math.max(...figures.map((text) => Buffer.byteLength(text)));
    // Whitespace is allowed after any value and any member (RFC 8259 §2).
    const padded = figures.map((text) => text + ' '.repeat(most - Buffer.byteLength(text)));
    if (padded.some((text) => text !== padded[0])) {
      places.push(start + shift);
      for (const [at, text] of padded.entries()) texts[at]?.push(text);
    }
    edits.push({ start, end, text: padded[0] as string });
    shift += most - (end - start);
  }
  const byServer = new Map(
    servers.map(({ server, changes }, at) => [server, { texts: texts[at] as string[], changes }] as const),
  );
  return { body: splice(bytes, edits), figured: { places, byServer } };
}

/** Writes the server's figures into the body; returns its changes, or undefined if all servers get the same body. */
export function writeFigures(
  { body, figured }: { readonly body: Buffer | undefined; readonly figured: Figured | undefined },
  server: object,
): readonly string[] | undefined {
  const own = figured?.byServer.get(server);
  if (!own || !body) return undefined;
  for (const [at, text] of own.texts.entries()) body.write(text, figured?.places[at] as number);
  return own.changes;
}

/** Several members may be added at one place; they are identified by their order there. */
function byPlace(edits: readonly Edit[]): Map<string, Edit> {
  const found = new Map<string, Edit>();
  for (const edit of edits) {
    let order = 0;
    while (found.has(`${edit.start} ${edit.end} ${order}`)) order++;
    found.set(`${edit.start} ${edit.end} ${order}`, edit);
  }
  return found;
}
