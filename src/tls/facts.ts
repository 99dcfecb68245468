// The public facts of a certificate, for choosing by name, for watching its expiry, and for operators.
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { CertificateFacts } from '../domain/certificate-facts.ts';

export function factsOf(certificate: X509Certificate): CertificateFacts {
  const { validFrom, validTo, issuer, fingerprint256 } = certificate;
  return {
    names: namesOf(certificate),
    issuer: issuerLine(issuer),
    notBefore: Date.parse(validFrom),
    notAfter: Date.parse(validTo),
    keyType: keyTypeOf(certificate),
    fingerprint: fingerprint256,
  };
}

/** Every name for which it is valid; the common name does not count (RFC 9525, section 2). */
export function namesOf({ subjectAltName }: X509Certificate): string[] {
  const found = [...(subjectAltName ?? '').matchAll(/(?:^|, )(?:DNS|IP Address):("[^"]*"|[^,]*)/g)];
  return found.map(([, name = '']) => plainName(name));
}

/** Node writes IPv6 addresses of certificates in full. */
function plainName(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase();
}

/** Some authorities have common names such as `R11`, so the organization is added if there is one. */
function issuerLine(issuer: string): string | undefined {
  const parts = new Map(
    issuer.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), unquoted(line.slice(at + 1))] as const;
    }),
  );
  const said = [parts.get('CN'), parts.get('O')].filter((part) => part !== undefined);
  return (said.length > 0 ? said : [...parts.values()]).join(', ') || undefined;
}

/** As OpenSSL writes a value with a comma or quotes in it. */
const unquoted = (value: string): string => value.replace(/^"(.*)"$/s, '$1').replaceAll(/\\(.)/g, '$1');

const curves: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

/** Undefined for a type that this runtime does not know; the certificate is still accepted. */
function keyTypeOf(certificate: X509Certificate): string | undefined {
  try {
    const { asymmetricKeyType = '', asymmetricKeyDetails: details = {} } = certificate.publicKey;
    const { modulusLength, namedCurve } = details;
    const size = namedCurve === undefined ? modulusLength : (curves[namedCurve] ?? namedCurve);
    const kind = /^(rsa|ec)/.test(asymmetricKeyType)
      ? asymmetricKeyType.toUpperCase()
      : asymmetricKeyType.replace(/^ed/, 'Ed');
    return size === undefined ? kind : `${kind} ${size}`;
  } catch {
    return undefined;
  }
}
