// Translates errors of SQLite and better-sqlite3 to those of every store.
import { otherTables, StoreBusy, StoreUnusable, unusableFile } from '../unusable.ts';

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code);

/** Another connection holds the write lock for longer than this one waits. */
export const isBusy = (error: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));

/** Translates errors that callers distinguish: another writer, or a file that cannot be read or written. */
export function translated(error: unknown): unknown {
  if (isBusy(error))
    return new StoreBusy('Another program is writing to the database and holds it. Try again when that is over.', {
      cause: error,
    });
  if (/^SQLITE_(FULL|READONLY|IOERR|CANTOPEN|CORRUPT|NOTADB)/.test(codeOf(error)))
    return unusableFile('The database', error);
  // SQLite has one code for these and for a statement that is none (sqlite.org/rescode.html#error).
  const { message } = error as { message?: unknown };
  if (
    codeOf(error) === 'SQLITE_ERROR' &&
    typeof message === 'string' &&
    /\bno such (table|column|function)\b|has no column named/.test(message)
  )
    return new StoreUnusable(`The database cannot be used: ${otherTables(message)}`, { cause: error });
  return error;
}

/** Runs code that uses the database directly, and translates its errors like those of queries. */
export function translating<Arguments extends readonly unknown[], T>(
  work: (...given: Arguments) => T,
): (...given: Arguments) => T {
  return (...given) => {
    try {
      return work(...given);
    } catch (error) {
      throw translated(error);
    }
  };
}
