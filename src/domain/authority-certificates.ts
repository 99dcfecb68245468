// Reads files of certificate authorities (TLS_CLIENT_CA, UPSTREAM_CA, ACME_CA). OpenSSL silently skips what it cannot
// read in such a file, so a truncated, empty or expired file would change what the gateway trusts without an error.
import { X509Certificate } from 'node:crypto';

/** The message names the file and the reason. */
export class AuthoritiesUnusable extends Error {
  override readonly name = 'AuthoritiesUnusable';
}

/**
 * Returns every certificate of the PEM file at `path`; other text between the blocks is allowed (RFC 7468 §5.2). `now`
 * in Unix milliseconds.
 * @throws Unusable, with the path first, if a block is cut off, unreadable or not a certificate; if there are no
 * certificates; if one is neither an authority nor self-signed; or if none is currently valid.
 */
export function readAuthorities(
  path: string,
  pem: Buffer,
  now: number,
  Unusable: new (sentence: string) => Error = AuthoritiesUnusable,
): X509Certificate[] {
  const unusable = (sentence: string): Error => new Unusable(`${path}: ${sentence}`);
  const text = pem.toString('latin1');
  const blocks = [...text.matchAll(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END [A-Z0-9 ]*-----/g)];
  const begun = text.split('-----BEGIN').length - 1;
  if (begun === 0) throw unusable('there is no certificate in it');
  if (begun !== blocks.length) throw unusable('it is cut off, or holds something that is no certificate');
  const certificates = blocks.map(([block]) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw unusable('a certificate in it cannot be read');
    }
  });
  for (const certificate of certificates)
    if (!certificate.ca && !certificate.checkIssued(certificate))
      throw unusable(`it contains a certificate that is not an authority (${oneLine(certificate.subject)})`);
  const ends = certificates.map(({ validTo }) => Date.parse(validTo));
  if (ends.every((end) => end <= now)) throw unusable(`it ended on ${new Date(Math.max(...ends)).toISOString()}`);
  const begins = certificates.map(({ validFrom }) => Date.parse(validFrom));
  if (begins.every((begin) => begin > now))
    throw unusable(`it does not begin before ${new Date(Math.min(...begins)).toISOString()}`);
  return certificates;
}

/** A distinguished name on one line. */
export const oneLine = (name: string): string => name.replaceAll('\n', ', ').slice(0, 200);
