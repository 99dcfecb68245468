// What SQLite and better-sqlite3 say when they cannot, in the words of every store.
import { StoreBusy, unusableFile } from '../unusable.ts';

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code);

/** Another connection holds the right to write, for longer than this one waits. */
export const isBusy = (error: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));

/** What is thrown in place of an error that callers tell apart: another writer, or a file that takes or gives nothing. */
export function translated(error: unknown): unknown {
  if (isBusy(error))
    return new StoreBusy('Another program is writing to the database and holds it. Try again when that is over.', {
      cause: error,
    });
  if (/^SQLITE_(FULL|READONLY|IOERR|CANTOPEN|CORRUPT|NOTADB)/.test(codeOf(error)))
    return unusableFile('The database', error);
  return error;
}

/** Runs what asks the database directly, and throws as the queries do. */
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
