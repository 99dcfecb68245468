// How the gate is encrypted, as its operators see it, and which of it needs attention soon. What encrypts is handed over by the
// composition root; keys and accounts never come this far.
import type { CertificateFacts } from '../../domain/certificate-facts.ts';
import type { WallMs } from '../../domain/time.ts';

export interface EncryptionNow {
  /** `proxy`: not by the gate; something in front that it trusts is believed to do it. */
  readonly how: 'off' | 'proxy' | 'files' | 'acme' | 'self-signed';
  readonly clientCertificates: 'none' | 'optional' | 'required';
  readonly certificates: readonly CertificateFacts[];
  /** The certificates are the gate's own until a public authority has answered. */
  readonly provisional: boolean;
  /** Unix milliseconds; undefined where the gate does not renew, or has nothing to renew yet. */
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

/** What every page for operators shows: the first certificate to end, and a renewal that failed. */
export function certificateWarning({ certificates, renewsAt, problem }: EncryptionNow, now: WallMs) {
  const ending = certificates.flatMap(({ notAfter }) =>
    notAfter === undefined || stateOf(notAfter, renewsAt, now) === 'fine' ? [] : [notAfter],
  );
  return { endsAt: ending.length === 0 ? null : new Date(Math.min(...ending)).toISOString(), problem: problem ?? null };
}

/** Some live for six days and are renewed every four: what the gate renews by itself is no news before it should have. */
function stateOf(
  notAfter: number | undefined,
  renewsAt: number | undefined,
  now: WallMs,
): 'fine' | 'ends-soon' | 'ended' {
  if (notAfter === undefined) return 'fine';
  if (notAfter <= now) return 'ended';
  return notAfter - now <= soonDays * day && now >= (renewsAt ?? 0) ? 'ends-soon' : 'fine';
}
