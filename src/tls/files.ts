// Certificates from files, reloaded when the files change. Each pair is independent: a new pair is opened before the old one is
// dropped, and an unusable or half-written pair does not affect others.

import type { WallMs } from '../domain/time.ts';
import type { Certificates } from './certificates.ts';
import type { ContainerReader } from './container.ts';
import { openPair, type Pair, type PairText, PairUnusable, refuseOutOfDate, type Trust } from './pair.ts';
import { type Contents, WatchedFiles } from './watch.ts';

export interface FileSettings {
  readonly cert: readonly string[];
  /** Of the PEM files among them, in their order. */
  readonly key: readonly string[];
  readonly passphrase: string;
}

export interface FileTools {
  readonly certificates: Certificates;
  /** Required if one of the files is a container. */
  readonly unpack: ContainerReader | undefined;
  /** The current trust for client certificates. */
  readonly trust: () => Trust;
  readonly now: () => WallMs;
  /** Called when the pair of this certificate file is in use. */
  readonly onLoad: (path: string) => void;
  readonly onRefuse: (sentence: string, path: string) => void;
}

export interface WatchedCertificates {
  /** Checks now, regardless of file times. */
  readonly reload: () => void;
  readonly stop: () => void;
}

/** @throws PairUnusable if a pair cannot be used at the start. */
export function watchCertificates(settings: FileSettings, tools: FileTools): WatchedCertificates {
  const { certificates, onLoad, onRefuse, trust } = tools;
  const opened: Pair[] = [];
  const watched: WatchedFiles[] = [];
  const stop = (): void => {
    for (const files of watched) files.stop();
  };
  try {
    for (const [index, { cert, key }] of pathsOf(settings).entries())
      watched.push(
        new WatchedFiles([cert, ...(key === undefined ? [] : [key])], {
          use: (contents, first) => {
            const pair = open(cert, textOf(contents, cert, key, settings, tools), trust());
            if (first) {
              opened.push(pair);
              return;
            }
            // At the start there is no previous pair to keep.
            refuseOutOfDate(pair, tools.now());
            certificates.replace(certificates.pairs.with(index, pair) as [Pair, ...Pair[]]);
            onLoad(cert);
          },
          onRefuse: (sentence) => onRefuse(sentence, cert),
        }),
      );
  } catch (error) {
    stop();
    throw error;
  }
  certificates.replace(opened as [Pair, ...Pair[]]);
  for (const path of settings.cert) onLoad(path);
  return {
    reload: () => {
      for (const files of watched) files.reload();
    },
    stop,
  };
}

/** PKCS#12 files contain their keys; PEM files take theirs from the list, in order. */
function pathsOf({ cert, key }: FileSettings): { cert: string; key: string | undefined }[] {
  const keys = key.values();
  return cert.map((path) => ({ cert: path, key: isContainer(path) ? undefined : keys.next().value }));
}

function textOf(
  contents: Contents,
  cert: string,
  key: string | undefined,
  { passphrase }: FileSettings,
  { unpack }: FileTools,
): () => PairText {
  const content = contents.get(cert) as Buffer;
  return () => {
    if (key !== undefined)
      return { cert: content, key: contents.get(key) as Buffer, ...(passphrase === '' ? {} : { passphrase }) };
    if (!unpack) throw new PairUnusable('PKCS#12 containers cannot be read here');
    return unpack(content, passphrase);
  };
}

function open(path: string, text: () => PairText, trust: Trust): Pair {
  try {
    return openPair(text(), trust);
  } catch (error) {
    throw error instanceof PairUnusable ? new PairUnusable(`${path}: ${error.message}`) : error;
  }
}

export const isContainer = (path: string): boolean => /\.(p12|pfx)$/i.test(path);
