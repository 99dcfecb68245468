// The encryption of the gateway as operators see it, and what needs attention soon. The composition root passes in the
// certificates; private keys and ACME accounts never get here.
import type { CertificateFacts } from '../../domain/certificate-facts.ts';
import type { WallMs } from '../../domain/time.ts';

export interface EncryptionNow {
  /** `proxy`: not by the gateway; a trusted proxy is expected to encrypt. */
  readonly how: 'off' | 'proxy' | 'files' | 'acme' | 'self-signed';
  readonly clientCertificates: 'none' | 'optional' | 'required';
  readonly certificates: readonly CertificateFacts[];
  /** The certificates are temporary ones until a public authority has issued one. */
  readonly provisional: boolean;
  /** Unix milliseconds; undefined if the gateway does not renew, or has nothing to renew yet. */
  readonly renewsAt: number | undefined;
  readonly problem: string | undefined;
  /** Unix milliseconds. */
  readonly triesAt: number | undefined;
}

const day = 86_400_000;
const soonDays = 14;

const moment = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString());

export function showEncryption(encryption: EncryptionNow, now: WallMs) {
  const { how, clientCertificates, certificates, provisional, renewsAt, problem, triesAt } = encryption;
  return {
    how,
    clientCertificates,
    certificates: certificates.map(({ names, issuer, notBefore, notAfter, keyType, fingerprint }) => ({
      names: [...names],
      issuer: issuer ?? null,
      notBefore: moment(notBefore),
      notAfter: moment(notAfter),
      daysLeft: notAfter === undefined ? null : Math.floor((notAfter - now) / day),
      state: stateOf(notAfter, renewsAt, now),
      keyType: keyType ?? null,
      fingerprint: fingerprint ?? null,
    })),
    provisional,
    renewsAt: moment(renewsAt),
    problem: problem ?? null,
    triesAt: moment(triesAt),
  };
}

/** What every page for operators shows: the certificate that expires first, and a failed renewal. */
export function certificateWarning({ certificates, renewsAt, problem }: EncryptionNow, now: WallMs) {
  const ending = certificates.flatMap(({ notAfter }) =>
    notAfter === undefined || stateOf(notAfter, renewsAt, now) === 'fine' ? [] : [notAfter],
  );
  return { endsAt: ending.length === 0 ? null : new Date(Math.min(...ending)).toISOString(), problem: problem ?? null };
}

/**
 * Some certificates are valid for six days and renewed every four, so those that the gateway renews only matter when they are
 * late.
 */
function stateOf(
  notAfter: number | undefined,
  renewsAt: number | undefined,
  now: WallMs,
): 'fine' | 'ends-soon' | 'ended' {
  if (notAfter === undefined) return 'fine';
  if (notAfter <= now) return 'ended';
  return notAfter - now <= soonDays * day && now >= (renewsAt ?? 0) ? 'ends-soon' : 'fine';
}
