// Opens the storage: the data directory and its lock, the store, the ledger, and the built-in account. Names the adapter.
import { hkdfSync } from 'node:crypto';
import { hostname } from 'node:os';
import { type Account, operatorName } from '../domain/account.ts';
import type { FollowedClock } from '../domain/followed-clock.ts';
import { unlimited } from '../domain/plan.ts';
import { namesOf } from '../domain/sealed-secret.ts';
import { Refusals } from '../gateway/refusal-rollup.ts';
import { openAccount } from '../management/accounts/accounts.ts';
import { sealingKeysFrom } from '../management/servers/sealing.ts';
import { describeCause, type Log } from '../observe/log.ts';
import { version } from '../package.ts';
import { cookieSecretIn, gateIdIn } from '../secret-file.ts';
import type { Config } from '../settings/config.ts';
import { openDirectory } from '../store/data-directory.ts';
import { Ledger } from '../store/ledger/ledger.ts';
import { openStore } from '../store/open-store.ts';
import type { ChangeFeed } from '../store/ports/change-feed.ts';
import { type Gates, onlyGate } from '../store/ports/gates.ts';
import type { LedgerWriter } from '../store/ports/ledger-writer.ts';
import type { Store } from '../store/ports/store.ts';
import type { ReadClock } from '../store/postgres/heartbeat.ts';
import { addressIn, placeOf } from '../store/redis/address.ts';
import { type DirectoryLock, lockDirectory } from '../store/sqlite/directory-lock.ts';
import { whenFree } from '../store/unusable.ts';
import type { Adapters } from './adapters.ts';
import type { GateClocks } from './clocks.ts';
import type { Start } from './start.ts';

/** A write that waits for another process blocks every stream, so the ledger retries later instead. */
const storePatienceMs = 200;

const keptForNextStart =
  'the database does not take records of calls: they are in the journal, and the next start writes them';

export interface Storage {
  /** The real path of the data directory. */
  readonly dataDir: string;
  readonly lock: DirectoryLock;
  readonly store: Store;
  readonly ledger: Ledger;
  /** Refused calls that are not yet in the ledger. */
  readonly refusals: Refusals;
  /** Notifies about changes by this or another process. */
  readonly changes: ChangeFeed;
  readonly operator: Account;
  /** The gates that share the store, this one among them. */
  readonly gates: Gates;
  /** Called with the ledger's lines that the store has from now on. */
  readonly onStored: (listener: (lines: readonly string[]) => void) => void;
  /** Runs it as soon as no other program locks the database. */
  readonly patiently: <T>(work: () => Promise<T>) => Promise<T>;
}

/** @throws StartFailed; its cause is a StoreUnusable if the operator can fix it. */
export async function openStorage(
  config: Config,
  { logger }: Log,
  { clock, followed }: GateClocks,
  start: Start,
  { beats, shares = false }: Adapters,
): Promise<Storage> {
  const dataDir = await start.step('data directory', () => openDirectory(config.dataDir));
  const lock = await start.step(
    'lock',
    () => lockDirectory(dataDir),
    (held) => held.release(),
  );
  const patiently = <T>(work: () => Promise<T>): Promise<T> =>
    whenFree(work, (sentence) => logger.warn(sentence), start.signal);
  const store = await start.step(
    'store',
    () => {
      const secret = fingerprintOf(cookieSecretIn(dataDir));
      const counts = shares ? 'elsewhere' : config.redisUrl && placeOf(addressIn(config.redisUrl));
      const sealing = (): readonly string[] => sealingNamesIn(config.serverSecretKey);
      const { timeZone } = config;
      const gate = { id: gateIdIn(dataDir), version, host: hostname(), secret, counts, sealing, timeZone };
      const host = { patienceMs: storePatienceMs, gate, beats, readClock: readingOf(followed, logger) };
      return patiently(() => openStore({ ...config, dataDir }, host));
    },
    (opened) => opened.close(),
  );
  clock.align();
  const onError = (error: unknown): void =>
    logger.error({ cause: describeCause(error) }, 'the ledger could not be written');
  const storing = tellingOf(store);
  const ledger = await start.step(
    'ledger',
    () => patiently(() => Ledger.start(storing.writer, dataDir, onError)),
    async (opened) => {
      const records = await opened.close();
      if (records > 0) logger.warn({ records }, keptForNextStart);
    },
  );
  const refusals = new Refusals(ledger, () => config.live.now.refusedRowsPerMinute, clock.steady);
  start.closes(() => refusals.flush());
  const operator = await start.step('operator account', () =>
    patiently(() => openAccount(store, operatorName, unlimited, { actor: 'gate', at: clock.wall() })),
  );
  const changes = store.changeFeed({
    onFailure: (what, error) => logger.error({ cause: describeCause(error) }, `${what}; the gateway keeps trying`),
    onRecovery: (what) => logger.info(`over: ${what}`),
  });
  const gates = store.gates ?? onlyGate;
  return { dataDir, lock, store, ledger, refusals, changes, operator, gates, patiently, onStored: storing.onStored };
}

/** Says when the two clocks begin or cease to differ. */
const readingOf =
  (followed: FollowedClock, logger: Log['logger']): ReadClock =>
  (...reading) => {
    if (!followed.read(...reading)) return;
    const { aheadMs } = followed;
    if (aheadMs === 0) logger.info('over: the clocks of this machine and of the database differed');
    else
      logger.warn(
        { aheadSeconds: aheadMs / 1000 },
        'the clock of this machine differs from that of the database, which dates follow',
      );
  };

/** The ledger's writer, which tells at most one listener what the store has taken. */
function tellingOf(store: Store): { readonly writer: LedgerWriter } & Pick<Storage, 'onStored'> {
  let tell: ((lines: readonly string[]) => void) | undefined;
  return {
    writer: {
      appendLines: async (lines) => {
        await store.appendLines(lines);
        tell?.(lines);
      },
      flushLines: () => store.flushLines(),
      touchKeys: (usedAt) => store.touchKeys(usedAt),
      noteRecovered: (accounts) => store.noteRecovered(accounts),
    },
    onStored: (listener) => (tell = listener),
  };
}

/** Read at each heartbeat, because the file can change while the gateway runs. */
function sealingNamesIn(path: string): readonly string[] {
  try {
    return namesOf(sealingKeysFrom(path));
  } catch {
    return [];
  }
}

/** Tells whether two gates have the same secret, and nothing about it. */
const fingerprintOf = (secret: string): string =>
  Buffer.from(hkdfSync('sha256', secret, '', 'sekisho fingerprint', 16)).toString('hex');
