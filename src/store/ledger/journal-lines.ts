// The lines of the journal: B begins an exchange, P is its progress, E its end; each is a letter and a JSON object.
import type { UsageRecord } from '../../domain/usage.ts';

export const beginOf = (draft: UsageRecord): string => `B${JSON.stringify(draft)}\n`;
export const againOf = (draft: UsageRecord): string =>
  `P${JSON.stringify(draft, ['id', 'model', 'askedModel', 'fallbackFor'])}
`;
/** Also what a store takes (`appendLines`), so that a record is written as JSON once. */
export const endOf = (record: UsageRecord): string => `E${JSON.stringify(record)}\n`;

/**
 * The rows in a journal's lines: ends in order, then open exchanges. An incomplete last line, which a kill can leave,
 * is skipped; the store ignores a repeated row by its id. Holds only open exchanges.
 */
export function* recovered(lines: Iterable<string>): Generator<UsageRecord> {
  const open = new Map<string, UsageRecord>();
  for (const line of lines) {
    const value = parseLine(line);
    if (value === undefined) continue;
    if (line[0] === 'E') {
      open.delete(value.id);
      yield value as UsageRecord;
    } else if (line[0] === 'B') open.set(value.id, { ...(value as UsageRecord), ...open.get(value.id) });
    else {
      const draft = open.get(value.id);
      if (draft) open.set(value.id, { ...draft, ...value });
    }
  }
  yield* open.values();
}

/** The lines of ends, as `endOf` wrote them. */
export function* endsOf(lines: Iterable<string>): Generator<string> {
  for (const line of lines) if (line[0] === 'E' && parseLine(line) !== undefined) yield `${line}\n`;
}

function parseLine(line: string): ({ id: UsageRecord['id'] } & Partial<UsageRecord>) | undefined {
  if (!/^[BEP]\{/.test(line)) return undefined;
  try {
    return JSON.parse(line.slice(1)) as { id: UsageRecord['id'] };
  } catch {
    return undefined;
  }
}

/** The records of lines that `endOf` wrote. */
export const recordsOf = (lines: readonly string[]): UsageRecord[] =>
  lines.map((line) => JSON.parse(line.slice(1)) as UsageRecord);
