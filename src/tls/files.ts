// Certificates from files, and from then on whatever the files become: looked at every few seconds and on SIGHUP. A new
// pair is opened before the old one goes; what cannot be used, whole or half-written, leaves everything as it was.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Certificates } from './certificates.ts';
import { openPair, type Pair, PairUnusable, refuseOutOfDate } from './pair.ts';

export interface FileSettings {
  readonly cert: readonly string[];
  /** Of the PEM files among them, in their order. */
  readonly key: readonly string[];
  readonly passphrase: string;
  /** Of client certificates; empty where none are asked for. */
  readonly clientCa: string;
  readonly clientCrl: string;
}

export interface FileTools {
  readonly certificates: Certificates;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly onLoad: (pairs: readonly Pair[]) => void;
  readonly onRefuse: (sentence: string) => void;
}

const lookMs = 2_000;
/** Beyond it nothing is a certificate. */
const mostBytes = 1024 * 1024;

export class CertificateFiles {
  readonly #settings: FileSettings;
  readonly #tools: FileTools;
  readonly #timer: NodeJS.Timeout;
  /** What was loaded or refused last; the same again is not news. */
  #seen = '';
  #stamp = '';

  /** @throws PairUnusable where what is there at the start cannot be used. */
  constructor(settings: FileSettings, tools: FileTools) {
    this.#settings = settings;
    this.#tools = tools;
    const contents = this.#read();
    this.#stamp = this.#stampOf();
    this.#seen = fingerprint(contents);
    this.#use(this.#open(contents));
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  /** Looks now, whatever the files' times say. */
  reload(): void {
    this.#stamp = '';
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    try {
      const stamp = this.#stampOf();
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      const last = this.#seen;
      // Files that cannot be read now are news when they come back, also as they were.
      this.#seen = '';
      const contents = this.#read();
      const seen = fingerprint(contents);
      this.#seen = seen;
      if (seen === last) return;
      const pairs = this.#open(contents);
      for (const pair of pairs) refuseOutOfDate(pair, this.#tools.now());
      this.#use(pairs);
    } catch (error) {
      const why = error instanceof PairUnusable ? error.message : 'it cannot be read';
      this.#tools.onRefuse(why);
    }
  }

  #use(pairs: readonly Pair[]): void {
    this.#tools.certificates.replace(pairs as [Pair, ...Pair[]]);
    this.#tools.onLoad(pairs);
  }

  get #paths(): string[] {
    const { cert, key, clientCa, clientCrl } = this.#settings;
    return [...cert, ...key, clientCa, clientCrl].filter((path) => path !== '');
  }

  /** Changes where a file does, also where a link now leads elsewhere. */
  #stampOf(): string {
    return this.#paths
      .map((path) => {
        const found = statSync(path, { throwIfNoEntry: false });
        return found ? `${found.ino}/${found.mtimeMs}/${found.ctimeMs}/${found.size}` : 'gone';
      })
      .join(' ');
  }

  #read(): ReadonlyMap<string, Buffer> {
    return new Map(this.#paths.map((path) => [path, readBounded(path)] as const));
  }

  #open(contents: ReadonlyMap<string, Buffer>): Pair[] {
    const { cert, key, passphrase, clientCa, clientCrl } = this.#settings;
    const secret = passphrase === '' ? {} : { passphrase };
    const trust = {
      ...(clientCa === '' ? {} : { ca: contents.get(clientCa) as Buffer }),
      ...(clientCrl === '' ? {} : { crl: contents.get(clientCrl) as Buffer }),
    };
    const keys = key.values();
    return cert.map((path) => {
      const content = contents.get(path) as Buffer;
      const keyPath = isContainer(path) ? undefined : keys.next().value;
      try {
        if (isContainer(path)) return openPair({ pfx: content, ...secret }, trust);
        return openPair({ cert: content, key: contents.get(keyPath as string) as Buffer, ...secret }, trust);
      } catch (error) {
        throw error instanceof PairUnusable ? new PairUnusable(`${path}: ${error.message}`) : error;
      }
    });
  }
}

/** PKCS#12 holds its key itself. */
export const isContainer = (path: string): boolean => /\.(p12|pfx)$/i.test(path);

function readBounded(path: string): Buffer {
  try {
    if (statSync(path).size > mostBytes) throw new PairUnusable(`${path}: it is too large for a certificate`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof PairUnusable) throw error;
    throw new PairUnusable(`${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function fingerprint(contents: ReadonlyMap<string, Buffer>): string {
  const hash = createHash('sha256');
  for (const [path, content] of contents) hash.update(path).update(String(content.length)).update(content);
  return hash.digest('hex');
}
