// Whose client certificates count, and which of them were taken back: the files of TLS_CLIENT_CA and TLS_CLIENT_CRL. Every
// context has to know both itself, so where the gate makes its certificates by itself they are opened anew as these change.
import type { Certificates } from './certificates.ts';
import { type Pair, reopenPair, type Trust } from './pair.ts';
import { type Contents, WatchedFiles } from './watch.ts';

/** Paths; empty where none are asked for. */
export interface TrustFiles {
  readonly clientCa: string;
  readonly clientCrl: string;
}

export interface TrustTools {
  readonly certificates: Certificates;
  readonly onRefuse: (sentence: string) => void;
}

export const trustPaths = ({ clientCa, clientCrl }: TrustFiles): string[] =>
  [clientCa, clientCrl].filter((path) => path !== '');

export function trustIn({ clientCa, clientCrl }: TrustFiles, contents: Contents): Trust {
  const [ca, crl] = [contents.get(clientCa), contents.get(clientCrl)];
  return { ...(ca ? { ca } : {}), ...(crl ? { crl } : {}) };
}

export class WatchedTrust {
  #now: Trust = {};
  readonly #files: WatchedFiles;

  /** @throws PairUnusable where they cannot be read at the start. */
  constructor(paths: TrustFiles, { certificates, onRefuse }: TrustTools) {
    this.#files = new WatchedFiles(trustPaths(paths), {
      use: (contents) => {
        const trust = trustIn(paths, contents);
        const [first, ...others] = certificates.pairs.map((pair): Pair => reopenPair(pair, trust));
        this.#now = trust;
        if (first) certificates.replace([first, ...others]);
      },
      onRefuse,
    });
  }

  get now(): Trust {
    return this.#now;
  }

  reload(): void {
    this.#files.reload();
  }

  stop(): void {
    this.#files.stop();
  }
}
