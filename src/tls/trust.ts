// The trust for client certificates: the authorities and revocation lists in the files of TLS_CLIENT_CA and TLS_CLIENT_CRL.
// They are checked completely before OpenSSL gets them. When they change, every pair is reopened, because each TLS context
// needs both.
import { oneLine, readAuthorities } from '../domain/authority-certificates.ts';
import type { WallMs } from '../domain/time.ts';
import type { Certificates } from './certificates.ts';
import { type Pair, PairUnusable, reopenPair, type Trust } from './pair.ts';
import type { ListReader } from './revocation.ts';
import { type Contents, WatchedFiles } from './watch.ts';

/** Paths; empty if client certificates are not used. */
export interface TrustFiles {
  readonly clientCa: string;
  readonly clientCrl: string;
}

export interface TrustTools {
  readonly certificates: Certificates;
  /** Required if there is a list. */
  readonly readLists: ListReader | undefined;
  readonly now: () => WallMs;
  readonly onLoad: () => void;
  readonly onRefuse: (sentence: string) => void;
  /** An authority or list has expired; its clients are refused until there is a new one. */
  readonly onEnd: (sentence: string) => void;
}

interface End {
  /** Unix milliseconds. */
  readonly at: number;
  readonly sentence: string;
}

const lookMs = 2_000;

export class WatchedTrust {
  readonly #paths: TrustFiles;
  readonly #tools: TrustTools;
  readonly #files: WatchedFiles;
  readonly #timer: NodeJS.Timeout;
  #now: Trust = {};
  #ends: readonly End[] = [];

  /** @throws PairUnusable if they cannot be used at the start. */
  constructor(paths: TrustFiles, tools: TrustTools) {
    this.#paths = paths;
    this.#tools = tools;
    this.#files = new WatchedFiles(
      [paths.clientCa, paths.clientCrl].filter((path) => path !== ''),
      { use: (contents) => this.#use(contents), onRefuse: tools.onRefuse },
    );
    this.#timer = setInterval(() => this.#lookForEnds(), lookMs).unref();
  }

  get now(): Trust {
    return this.#now;
  }

  reload(): void {
    this.#files.reload();
    this.#lookForEnds();
  }

  stop(): void {
    this.#files.stop();
    clearInterval(this.#timer);
  }

  #use(contents: Contents): void {
    const { certificates, onLoad } = this.#tools;
    const { trust, ends } = this.#read(contents);
    const [first, ...others] = certificates.pairs.map((pair): Pair => reopenPair(pair, trust));
    this.#now = trust;
    this.#ends = ends;
    if (first) certificates.replace([first, ...others]);
    onLoad();
  }

  #read(contents: Contents): { trust: Trust; ends: readonly End[] } {
    const { clientCa, clientCrl } = this.#paths;
    const { now, readLists } = this.#tools;
    const [ca, crl] = [contents.get(clientCa), contents.get(clientCrl)];
    if (!ca) return { trust: {}, ends: [] };
    const authorities = readAuthorities(clientCa, ca, now(), PairUnusable);
    const lists = crl && readLists ? named(clientCrl, () => readLists(crl, authorities, now())) : [];
    const ends = [
      ...authorities.map(({ validTo, subject }) => ({
        at: Date.parse(validTo),
        sentence: `${clientCa}: ${oneLine(subject)} ended on ${new Date(validTo).toISOString()}`,
      })),
      ...lists.map(({ nextUpdate, issuer }) => ({
        at: nextUpdate,
        sentence: `${clientCrl}: its list of ${issuer} ended`,
      })),
    ].filter(({ at }) => at > now());
    return { trust: { ca, ...(crl ? { crl } : {}) }, ends };
  }

  #lookForEnds(): void {
    const now = this.#tools.now();
    const over = this.#ends.filter(({ at }) => at <= now);
    if (over.length === 0) return;
    this.#ends = this.#ends.filter(({ at }) => at > now);
    for (const { sentence } of over) this.#tools.onEnd(sentence);
    this.#tools.certificates.endTrust();
  }
}

/** @throws PairUnusable with the name of the file before the message. */
function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof PairUnusable ? new PairUnusable(`${path}: ${error.message}`) : error;
  }
}
