// Parses the replacements of a key's secret and additions to it: an Ollama CLI's public key, or a certificate.
import { digestOf, readSshPublicKey, type StoredKey } from '../../domain/api-key.ts';
import { certificateDigest } from '../../domain/certificate.ts';
import { Fault } from '../fault.ts';

interface Material {
  readonly publicKey?: string;
  readonly certificate?: string;
}

/** Undefined for a key with a secret. @throws Fault. */
export function readPublicKey({ publicKey, certificate }: Material): Pick<StoredKey, 'kind' | 'digest'> | undefined {
  if (publicKey !== undefined && certificate !== undefined) throw new Fault('key_two_kinds', {});
  if (publicKey !== undefined) {
    const wire = readSshPublicKey(publicKey);
    if (!wire) throw new Fault('public_key_shape', {});
    return { kind: 'signature', digest: digestOf(wire) };
  }
  return certificate === undefined ? undefined : { kind: 'certificate', digest: digestOfCertificate(certificate) };
}

/** @throws Fault. */
export const readBoundCertificate = (pem: string | null | undefined): string | null =>
  pem === undefined || pem === null ? null : digestOfCertificate(pem);

function digestOfCertificate(pem: string): string {
  const digest = certificateDigest(pem);
  if (digest === undefined) throw new Fault('certificate_shape', {});
  return digest;
}
