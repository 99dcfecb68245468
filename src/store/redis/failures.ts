// Tells the failures of Redis apart: away for a while, or unusable until somebody does something. Errors of the client carry the
// command with its arguments, and so the password; they are replaced here by errors that hold a sentence only.
import { StoreAway, StoreUnusable } from '../unusable.ts';

/** The server answers nothing, or nothing that helps now. */
export class RedisAway extends StoreAway {
  override name = 'RedisAway';
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');

/**
 * What the server answers while it cannot take writes: a replica, a start, a full memory, a disk that fails, a lost majority. Redis 6.2
 * puts it at the end of a sentence about the script.
 */
const cannotWrite = /(?:^|: -?)(READONLY|LOADING|OOM|MISCONF|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|BUSY|UNKILLABLE)\b/;
/** The user may not do this, or not any more. Sentinels are asked one after the other, and the error of the last one ends a sentence. */
const lacksRights = /(?:^|Last error: |: -?)NOPERM|The user executing the script can't/;
/** A hash slot of the Cluster is on its way to another server, which concerns only the keys in it. */
const slotMoves = /^(TRYAGAIN|MOVED|ASK) |Too many Cluster redirections/;
const isConnection =
  /Connection is closed|Stream isn't writeable|Command timed out|Command aborted|Reached the max retries|connect ETIMEDOUT|Failed to refresh slots|None of startup nodes|ClusterAllFailed|All sentinels are unreachable|Cluster isn't ready|enableOfflineQueue|ECONN\w+|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|max number of clients/;

/** The server is there and refuses writes, with a word that says why: the next call would fail the same way. */
export const refusalOf = (error: unknown): string | undefined =>
  lacksRights.test(messageOf(error)) ? 'NOPERM' : cannotWrite.exec(messageOf(error))?.[1];

export const isAboutSlot = (error: unknown): boolean => slotMoves.test(messageOf(error));

export const isAway = (error: unknown): boolean =>
  refusalOf(error) !== undefined || isAboutSlot(error) || isConnection.test(messageOf(error));

const reasons: readonly (readonly [RegExp, string])[] = [
  [
    // Sentinels are asked one after the other, and the error of the last one stands at the end of a sentence.
    /(?:^|Last error: )(WRONGPASS|NOAUTH|ERR AUTH|ERR invalid password|ERR Client sent AUTH)/,
    'the user name or password in REDIS_URL is not accepted. Correct it, or make the user (ACL SETUSER).',
  ],
  [lacksRights, 'the user of REDIS_URL may not do this. docs/redis.md says what its rights must include.'],
  [/^ERR (DB index|invalid DB|SELECT is not allowed)/, 'it has no database of the number in REDIS_URL.'],
  [/^ERR This instance has cluster support disabled/, 'it is no Cluster. Set REDIS_URL to redis://….'],
  [/altnames/, 'its certificate is not for the host that REDIS_URL names. Use a name for which it is.'],
  [/certificate has expired/, 'its certificate has expired. Renew it at the server.'],
  [
    /self.signed|unable to (get|verify)|certificate|SELF_SIGNED/i,
    'its certificate is not trusted. Name the authority in REDIS_URL: ?ca=/path/to/ca.pem',
  ],
];

/** The error to throw while a gateway runs: RedisAway, or an error with only the message. */
export const translatedNow = (error: unknown): Error =>
  isAway(error) ? new RedisAway(`Redis cannot be reached: ${messageOf(error)}.`) : translated(error);

/** Each server of a Cluster was asked, and this is what the last one said. */
export const lastOfCluster = (error: unknown): unknown => (error as { lastNodeError?: unknown }).lastNodeError;

/** As `translated`, with what may be wrong if one side takes TLS and the other does not, which neither side says. */
export function translatedAtStart(error: unknown, isEncrypted: boolean): Error {
  const known = translated(error);
  const isSilent = (isEncrypted ? /ETIMEDOUT/ : /ECONNRESET/).test(known.message);
  if (!(known instanceof RedisAway) || !isSilent) return known;
  const [is, set] = isEncrypted ? ['no', 'redis'] : ['only', 'rediss'];
  return new RedisAway(`${known.message} If it takes ${is} TLS at this port, set REDIS_URL to ${set}://….`);
}

/** RedisAway, StoreUnusable, or an error with only the message. */
export function translated(error: unknown): Error {
  if (error instanceof StoreUnusable) return error;
  const message = messageOf(error);
  const reason = reasons.find(([words]) => words.test(message))?.[1];
  if (reason !== undefined) return new StoreUnusable(`Redis cannot be used: ${reason}`);
  if (isAway(error)) return new RedisAway(`Redis cannot be reached: ${message.replace(/\.$/, '')}.`);
  return new Error(`Redis: ${message}`);
}
