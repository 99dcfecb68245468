// Reads certificate revocation lists (RFC 5280 §5) before OpenSSL gets them. OpenSSL ignores everything after a broken list,
// and only notices a missing or expired list in a handshake, without a log entry.
import { verify, type X509Certificate } from 'node:crypto';
import { oneLine } from '../domain/authority-certificates.ts';
import type { WallMs } from '../domain/time.ts';
import { PairUnusable } from './pair.ts';

export interface RevocationList {
  /** The name of the authority, for messages. */
  readonly issuer: string;
  /** Unix milliseconds; Infinity if the list has no end. */
  readonly nextUpdate: number;
}

/** Parses the lists of a file and checks each against the authorities; `now` in Unix milliseconds. */
export type ListReader = (
  file: Buffer,
  authorities: readonly X509Certificate[],
  now: WallMs,
) => readonly RevocationList[];

/** Loads the parser; only gateways with a list need it. */
export async function loadListReader(): Promise<ListReader> {
  // The library needs decorator metadata, which is not part of the language.
  await import('reflect-metadata');
  const { X509Certificate: Parsed, X509Crl } = await import('@peculiar/x509');

  /** @throws PairUnusable if a list is unreadable, foreign, expired or not valid yet, or if an authority has none. */
  return (file, authorities, now) => {
    const lists = blocksOf(file).map((block) => {
      try {
        return new X509Crl(block);
      } catch {
        throw new PairUnusable('a list in it cannot be read');
      }
    });
    const signers = authorities.map((certificate) => ({
      certificate,
      name: new Parsed(certificate.raw).subject,
      covered: false,
    }));
    const found = lists.map((list) => {
      const issuer = oneLine(list.issuer);
      const signer = signers.find(
        ({ certificate, name }) => name === list.issuer && isSignedBy(Buffer.from(list.rawData), list, certificate),
      );
      if (!signer) throw new PairUnusable(`its list of ${issuer} is signed by no authority in TLS_CLIENT_CA`);
      signer.covered = true;
      if (list.thisUpdate.getTime() > now + clockSlackMs)
        throw new PairUnusable(`its list of ${issuer} does not begin before ${list.thisUpdate.toISOString()}`);
      const nextUpdate = list.nextUpdate?.getTime() ?? Infinity;
      if (nextUpdate <= now)
        throw new PairUnusable(`its list of ${issuer} ended on ${new Date(nextUpdate).toISOString()}`);
      return { issuer, nextUpdate };
    });
    // OpenSSL requires a list for every authority in a chain, and refuses all clients if one is missing.
    const without = signers.find(({ covered }) => !covered);
    if (without) throw new PairUnusable(`it has no list of ${oneLine(without.name)}`);
    return found;
  };
}

/** An authority's clock may be a little ahead of ours. */
const clockSlackMs = 60_000;

function blocksOf(file: Buffer): string[] {
  const text = file.toString('latin1');
  const blocks = [...text.matchAll(/-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/g)];
  const begun = text.split('-----BEGIN').length - 1;
  if (begun === 0) throw new PairUnusable('there is no revocation list in it');
  if (begun !== blocks.length) throw new PairUnusable('it is cut off, or holds something that is no revocation list');
  return blocks.map(([block]) => block);
}

function isSignedBy(
  der: Buffer,
  { signature, signatureAlgorithm }: { signature: ArrayBuffer; signatureAlgorithm: { hash?: unknown } },
  { publicKey }: X509Certificate,
): boolean {
  const { name: hash } = (signatureAlgorithm.hash ?? {}) as { name?: string };
  try {
    // Ed25519 and Ed448 have a built-in hash.
    const digest = hash === undefined ? null : hash.replace('-', '').toLowerCase();
    return verify(digest, signedPart(der), publicKey, Buffer.from(signature));
  } catch {
    return false;
  }
}

/** CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signature }: the bytes of the first element. */
function signedPart(der: Buffer): Buffer {
  const start = headerEnd(der, 0);
  return der.subarray(start, headerEnd(der, start) + lengthAt(der, start));
}

/** Where the content of the DER element at `at` begins. */
function headerEnd(der: Buffer, at: number): number {
  const first = der.readUInt8(at + 1);
  return at + 2 + (first < 0x80 ? 0 : first & 0x7f);
}

/** How many bytes the content of the DER element at `at` has. */
function lengthAt(der: Buffer, at: number): number {
  const first = der.readUInt8(at + 1);
  return first < 0x80 ? first : der.readUIntBE(at + 2, first & 0x7f);
}
