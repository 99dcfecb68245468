// Translates errors of PostgreSQL and its client to those of every store. SQLSTATE codes: PostgreSQL, appendix A.
import { otherTables, StoreAway, StoreBusy, StoreUnusable } from '../unusable.ts';

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');

/** Another transaction stood in the way of this one; the same work succeeds when it runs again. */
const isCollision = (error: unknown): boolean => /^(40001|40P01)$/.test(codeOf(error));

const mostTries = 5;

/** Repeats a transaction that PostgreSQL has undone in favour of another one. */
export async function despiteCollisions<T>(transaction: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await transaction();
    } catch (error) {
      if (!isCollision(error) || tries === mostTries) throw error;
    }
  }
}

/**
 * The server cannot be reached, or ended the connection: what runs now may succeed later on another connection. Class 08,
 * 57P01 to 57P05 (shutting down, crashed, starting), 53300 (too many connections), 25P03 (idle in a transaction for too long).
 */
const isAway = (error: unknown): boolean =>
  /^(08...|57P0[1-5]|53300|25P03|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test(
    codeOf(error),
  ) || /^(Query read timeout|timeout expired|Connection terminated|Client has encountered)/.test(messageOf(error));

/** As PostgreSQL answers a write that it cannot do. */
export const readOnly = (): Error => Object.assign(new Error('cannot write'), { code: '25006' });

/** A replica, or a primary that was set to read only: after a failover the writable server is at another connection. 55000: `lock table`. */
const isReadOnly = (error: unknown): boolean => /^(25006|55000)$/.test(codeOf(error));

/** A table, a column, a function or a schema that is not there: somebody has changed the tables, or the `search_path` leads elsewhere. */
const isOtherSchema = (error: unknown): boolean => /^(42P01|42703|42883|3F000)$/.test(codeOf(error));

const reasons: readonly (readonly [RegExp, string])[] = [
  [/^28/, 'the user name or password in DATABASE_URL is not accepted. Correct it, or allow this host in pg_hba.conf.'],
  [/^3D000$/, 'the database that DATABASE_URL names does not exist. Create it: createdb --owner <user> <database>'],
  [/^42501$/, 'the user of DATABASE_URL may not do this. Make it the owner of the database.'],
  [/^(53100|53200)$/, 'the server is out of disk space or memory.'],
  [/^CERT_HAS_EXPIRED$/, 'its certificate has expired. Renew it at the server.'],
  [
    /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/,
    'its certificate is not for the host that DATABASE_URL names. Use a name for which it is.',
  ],
  [
    /^(SELF_SIGNED_CERT|DEPTH_ZERO|UNABLE_TO|CERT_|ERR_TLS_)/,
    'its certificate is not trusted. Name the authority in DATABASE_URL: sslmode=verify-full&sslrootcert=/path/to/ca.pem',
  ],
];

/** The server does not give what is asked for now. 57014: it gave the question up, because it was told to after some seconds. */
const busy: readonly (readonly [(error: unknown) => boolean, string])[] = [
  [
    (error) => codeOf(error) === '55P03',
    'Another session holds what is to be changed in PostgreSQL. Try again when that is over.',
  ],
  [
    (error) => codeOf(error) === '57014',
    'PostgreSQL did not answer in time. Another session holds a lock on what was asked for, or the server has too much to do.',
  ],
  [
    (error) => messageOf(error).startsWith('timeout exceeded'),
    'Every connection of this gateway to PostgreSQL waits for an answer (DATABASE_CONNECTIONS). Try again later.',
  ],
];

/** Translates errors that callers distinguish: busy, away, or unusable until somebody does something. */
export function translated(error: unknown): unknown {
  if (error instanceof StoreUnusable) return error;
  const sentence = busy.find(([is]) => is(error))?.[1];
  if (sentence !== undefined) return new StoreBusy(sentence, { cause: error });
  const code = codeOf(error);
  if (isAway(error)) return new StoreAway(`PostgreSQL cannot be reached: ${messageOf(error)}.`, { cause: error });
  if (isReadOnly(error))
    return new StoreAway(
      'PostgreSQL can only be read at this address: it is a replica, or was set to read only. The gateway needs the primary.',
      { cause: error },
    );
  if (isOtherSchema(error))
    return new StoreUnusable(`PostgreSQL cannot be used: ${otherTables(messageOf(error))}`, { cause: error });
  const reason = messageOf(error).includes('does not support SSL')
    ? 'the server does not encrypt. Turn on `ssl` there, or take sslmode out of DATABASE_URL.'
    : reasons.find(([codes]) => codes.test(code))?.[1];
  return reason === undefined ? error : new StoreUnusable(`PostgreSQL cannot be used: ${reason}`, { cause: error });
}
