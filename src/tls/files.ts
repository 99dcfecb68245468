// Certificates from files, and from then on whatever the files become. A new pair is opened before the old one goes; what
// cannot be used, whole or half-written, leaves everything as it was.
import type { Certificates } from './certificates.ts';
import { openPair, type Pair, PairUnusable, refuseOutOfDate } from './pair.ts';
import { type TrustFiles, trustIn, trustPaths } from './trust.ts';
import { type Contents, WatchedFiles } from './watch.ts';

export interface FileSettings extends TrustFiles {
  readonly cert: readonly string[];
  /** Of the PEM files among them, in their order. */
  readonly key: readonly string[];
  readonly passphrase: string;
}

export interface FileTools {
  readonly certificates: Certificates;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly onLoad: () => void;
  readonly onRefuse: (sentence: string) => void;
}

/** @throws PairUnusable where what is there at the start cannot be used. */
export function watchCertificates(settings: FileSettings, tools: FileTools): WatchedFiles {
  return new WatchedFiles([...settings.cert, ...settings.key, ...trustPaths(settings)], {
    use: (contents, first) => {
      const pairs = openAll(settings, contents);
      // At the start there is no better one to keep.
      if (!first) for (const pair of pairs) refuseOutOfDate(pair, tools.now());
      tools.certificates.replace(pairs as [Pair, ...Pair[]]);
      tools.onLoad();
    },
    onRefuse: tools.onRefuse,
  });
}

function openAll(settings: FileSettings, contents: Contents): Pair[] {
  const { cert, key, passphrase } = settings;
  const secret = passphrase === '' ? {} : { passphrase };
  const trust = trustIn(settings, contents);
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

/** PKCS#12 holds its key itself. */
export const isContainer = (path: string): boolean => /\.(p12|pfx)$/i.test(path);
