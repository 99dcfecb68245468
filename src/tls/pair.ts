// A certificate with its private key, opened and checked before use.
import { constants, createHash, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { CertificateFacts } from '../domain/certificate-facts.ts';
import type { WallMs } from '../domain/time.ts';
import { factsOf } from './facts.ts';

/** The content of the files, or from an authority. A PKCS#12 container is unpacked first (`container.ts`). */
export interface PairText {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  readonly passphrase?: string;
}

/** The authorities of client certificates and their revocation lists, which every TLS context needs. */
export type Trust = Pick<SecureContextOptions, 'ca' | 'crl'>;

export interface Pair extends CertificateFacts {
  readonly context: SecureContext;
  /** The same for a server that creates its own contexts. Contains the private key, so it must not be logged or shown. */
  readonly options: SecureContextOptions;
}

/** Its message is a sentence for the operator. */
export class PairUnusable extends Error {
  override readonly name = 'PairUnusable';
}

/**
 * Mozilla's "intermediate" configuration, version 5.7: TLS 1.2 and 1.3, forward secrecy, no CBC. OpenSSL's own default
 * also offers CCM with short tags to TLS 1.2.
 */
export const mozillaIntermediate = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  ecdhCurve: 'X25519:P-256:P-384',
  // Mozilla leaves the order to the client; scanners expect the server's order, which costs nothing.
  honorCipherOrder: true,
  // Renegotiation would let a client waste the server's CPU time.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies SecureContextOptions & { honorCipherOrder: boolean };

/** @throws PairUnusable if the certificate or key is invalid, they do not match, or `trust` is invalid. */
export function openPair(text: PairText, trust: Trust = {}): Pair {
  const options = { ...mozillaIntermediate, ...trust, ...text };
  let context: SecureContext;
  try {
    context = createSecureContext(options);
  } catch (error) {
    throw new PairUnusable(sentenceOf(error as NodeJS.ErrnoException));
  }
  return { context, options, ...factsOf(new X509Certificate(text.cert)) };
}

/** The same pair with another trust. @throws PairUnusable if `trust` is invalid. */
export function reopenPair({ options: { ca: _ca, crl: _crl, ...text } }: Pair, trust: Trust): Pair {
  return openPair(text as unknown as PairText, trust);
}

/** Equal for the same trust. */
export const trustOf = ({ options: { ca, crl } }: Pair): string =>
  createHash('sha256').update(String(ca)).update('\n').update(String(crl)).digest('hex');

/** @throws PairUnusable if it has expired or is not valid yet; `now` in Unix milliseconds. */
export function refuseOutOfDate({ notBefore, notAfter }: Pair, now: WallMs): void {
  if (notAfter !== undefined && notAfter <= now)
    throw new PairUnusable(`it ended on ${new Date(notAfter).toISOString()}`);
  if (notBefore !== undefined && notBefore > now + 60_000)
    throw new PairUnusable(`it does not begin before ${new Date(notBefore).toISOString()}`);
}

export const noPassphrase = 'the passphrase does not open it (TLS_PASSPHRASE)';

function sentenceOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ERR_OSSL_X509_KEY_VALUES_MISMATCH':
      return 'the private key is not the one of the certificate';
    case 'ERR_OSSL_PEM_NO_START_LINE':
      return 'there is no PEM block in it';
    case 'ERR_OSSL_BAD_DECRYPT':
    case 'ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED':
    case 'ERR_MISSING_PASSPHRASE':
      return noPassphrase;
    default:
      if (/mac verify failure|bad decrypt/.test(message)) return noPassphrase;
      return `it cannot be read (${code ?? message})`;
  }
}
