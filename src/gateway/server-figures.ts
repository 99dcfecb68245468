// What a body says to one model server and not to another: figures that follow from what that server alone says of its
// models. The call has one body, with room for the longest of them, and each try writes in what is for its server: a body
// for each server would hold the memory of a large one several times, outside its budget.
import { type Edit, splice } from './payload/strict-json.ts';

/** How a body is to be changed for one model server; edits are in order and do not overlap. */
export interface ForServer {
  /** Whichever object stands for it. */
  readonly server: object;
  readonly edits: readonly Edit[];
  readonly changes: readonly string[];
}

export interface Figured {
  /** Where in the body they stand. */
  readonly places: readonly number[];
  readonly byServer: ReadonlyMap<object, { readonly texts: readonly string[]; readonly changes: readonly string[] }>;
}

/** The body for the first server and, where another is to get other figures, what they are. */
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
    const said = keyed.map((each) => each.get(key)?.text ?? bytes.toString('utf8', start, end));
    const most = Math.max(...said.map((text) => Buffer.byteLength(text)));
    // Blanks may stand behind any value and any member (RFC 8259, section 2).
    const padded = said.map((text) => text + ' '.repeat(most - Buffer.byteLength(text)));
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

/** Writes what is for this server into the body; gives what was changed for it, or undefined where it is as for all. */
export function writeFigures(
  { body, figured }: { readonly body: Buffer | undefined; readonly figured: Figured | undefined },
  server: object,
): readonly string[] | undefined {
  const said = figured?.byServer.get(server);
  if (!said || !body) return undefined;
  for (const [at, text] of said.texts.entries()) body.write(text, figured?.places[at] as number);
  return said.changes;
}

/** Several members may be added at one place: each is known by its order there. */
function byPlace(edits: readonly Edit[]): Map<string, Edit> {
  const found = new Map<string, Edit>();
  for (const edit of edits) {
    let order = 0;
    while (found.has(`${edit.start} ${edit.end} ${order}`)) order++;
    found.set(`${edit.start} ${edit.end} ${order}`, edit);
  }
  return found;
}
