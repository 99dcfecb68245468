// Manages the certificates of the gateway: from files, from its own authority, or from a public authority.

import type { CertificateFacts } from '../domain/certificate-facts.ts';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import { AcmeCertificates, type AcmeStore } from './acme.ts';
import { Certificates } from './certificates.ts';
import { loadContainerReader } from './container.ts';
import { type FileSettings, isContainer, watchCertificates } from './files.ts';
import { localNames, openLocalAuthority, renewalOf } from './local-authority.ts';
import { type AcmeSettings, type ChallengeKind, orderCertificate } from './order.ts';
import { openPair, type Pair } from './pair.ts';
import type { Encryption } from './protocol-detection.ts';
import { loadListReader } from './revocation.ts';
import { type TrustFiles, WatchedTrust } from './trust.ts';

export type TlsMode = 'off' | 'files' | 'acme' | 'self-signed';

export interface GateCertificateSettings {
  readonly mode: Exclude<TlsMode, 'off'>;
  readonly files: FileSettings & TrustFiles;
  readonly acme: AcmeSettings;
  /** Names for the self-signed certificate, besides those of this machine. */
  readonly names: readonly string[];
  readonly clientCertificates: Encryption['clientCertificates'];
  readonly dataDir: string;
  readonly gateName: string;
}

export interface GateCertificateTools {
  readonly store: AcmeStore;
  readonly now: () => WallMs;
  readonly nowMs: () => MonotonicMs;
  readonly tell: (
    level: 'info' | 'warn' | 'error',
    fields: Readonly<Record<string, unknown>>,
    sentence: string,
  ) => void;
}

/** What operators may see: no private key and no ACME account. */
export interface TlsStatus {
  readonly mode: GateCertificateSettings['mode'];
  readonly clientCertificates: Encryption['clientCertificates'];
  /** The current certificates; the first is for callers who name no host. */
  readonly certificates: readonly CertificateFacts[];
  /** Temporary certificates, until a public authority has issued the first one. */
  readonly provisional: boolean;
  /** When the gateway renews, Unix milliseconds; undefined if it does not renew, or there is no certificate yet. */
  readonly renewsAt: number | undefined;
  /** Why a renewal failed, or new files are not used; undefined if there is no error. */
  readonly problem: string | undefined;
  /** When it retries, Unix milliseconds; undefined if it retries when the files change. */
  readonly triesAt: number | undefined;
}

export interface GateCertificates {
  readonly encryption: Encryption;
  readonly answerTo: (token: string) => Promise<string | undefined>;
  /** PEM of the gateway's own authority; undefined for a public one. */
  readonly authority: () => string | undefined;
  readonly status: () => TlsStatus;
  /** Checks the files now. */
  readonly reload: () => void;
  /** Call when the gateway listens, with the open validation methods, best first. */
  readonly start: (ways: readonly ChallengeKind[]) => void;
  readonly stop: () => Promise<void>;
}

const handshakeMs = 10_000;
const day = 86_400_000;
/** How often its own authority's certificate is looked at. */
const againMs = 60_000;
/** The longest message of an authority that is repeated. */
const mostProblem = 500;
const warnDays = [1, 7, 14, 30] as const;

/** What every mode shares. */
interface Shared {
  readonly certificates: Certificates;
  readonly encryption: Encryption;
  readonly trust: WatchedTrust;
  readonly status: (next: Partial<Pick<TlsStatus, 'provisional' | 'renewsAt' | 'problem' | 'triesAt'>>) => TlsStatus;
  /** Errors by file, so that a fixed file only clears its own error. */
  readonly problems: Map<string, string>;
  readonly complain: (reason: string, about: string, sentence: string) => void;
  readonly said: () => void;
  /** Timers and watches; a start that fails ends them too. */
  readonly opened: DisposableStack;
}

const none = (): undefined => undefined;
const nothing = (): Promise<undefined> => Promise.resolve(undefined);

/** @throws PairUnusable if the files cannot be used. */
export async function openGateCertificates(
  settings: GateCertificateSettings,
  tools: GateCertificateTools,
): Promise<GateCertificates> {
  const opened = new DisposableStack();
  try {
    const shared = await openShared(settings, tools, opened);
    if (settings.mode === 'files') return await openFiles(settings, tools, shared);
    return await openOwn(settings, tools, shared);
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

async function openShared(
  settings: GateCertificateSettings,
  tools: GateCertificateTools,
  opened: DisposableStack,
): Promise<Shared> {
  const { mode, clientCertificates } = settings;
  const { now, tell } = tools;
  const certificates = new Certificates();
  const problems = new Map<string, string>();
  const daily = setInterval(() => warnOfEnds(certificates.pairs, now(), tell), day).unref();
  opened.defer(() => clearInterval(daily));
  const forTrust = 'client certificates';
  const complain = (reason: string, about: string, sentence: string): void => {
    problems.set(about, reason);
    tell('error', { reason }, sentence);
  };
  const trust = new WatchedTrust(settings.files, {
    certificates,
    readLists: settings.files.clientCrl === '' ? undefined : await loadListReader(),
    now,
    onLoad: () => problems.delete(forTrust),
    onRefuse: (reason) =>
      complain(reason, forTrust, 'what says whose client certificates count is not used; the last of it stays'),
    onEnd: (reason) => complain(reason, forTrust, 'its client certificates are turned away until there is a new file'),
  });
  opened.defer(() => trust.stop());
  return {
    certificates,
    encryption: { certificates, clientCertificates, handshakeMs },
    trust,
    status: (next) => ({
      mode,
      clientCertificates,
      certificates: certificates.pairs.map(tellable),
      provisional: next.provisional ?? false,
      renewsAt: next.renewsAt,
      problem:
        [next.problem, ...problems.values()]
          .filter((each) => each !== undefined)
          .join('; ')
          .slice(0, mostProblem) || undefined,
      triesAt: next.triesAt,
    }),
    problems,
    complain,
    said: () => sayWhatIs(certificates.pairs, tell),
    opened,
  };
}

async function openFiles(
  { files: paths }: GateCertificateSettings,
  { now, tell }: GateCertificateTools,
  shared: Shared,
): Promise<GateCertificates> {
  const { certificates, trust, problems, complain, said, opened } = shared;
  const files = watchCertificates(paths, {
    certificates,
    unpack: paths.cert.some(isContainer) ? await loadContainerReader() : undefined,
    trust: () => trust.now,
    now,
    onLoad: (path) => {
      problems.delete(path);
      said();
    },
    onRefuse: (reason, path) => complain(reason, path, 'the new certificate is not used; the last one stays'),
  });
  opened.defer(() => files.stop());
  warnOfEnds(certificates.pairs, now(), tell);
  return {
    encryption: shared.encryption,
    answerTo: nothing,
    authority: none,
    status: () => shared.status({}),
    reload: () => {
      trust.reload();
      files.reload();
    },
    start: () => undefined,
    stop: () => Promise.resolve(opened.dispose()),
  };
}

/** The gateway's own certificate: permanent, or until a public authority has issued one. */
async function openOwn(
  settings: GateCertificateSettings,
  tools: GateCertificateTools,
  shared: Shared,
): Promise<GateCertificates> {
  const { now, tell } = tools;
  const local = await openLocalAuthority(settings.dataDir, settings.gateName, now(), (reason) =>
    tell('warn', { reason }, 'creating a new certificate authority; people have to trust it again'),
  );
  const useLocal = async (names: readonly string[]): Promise<void> => {
    const pair = await local.pairFor(names, now());
    shared.certificates.replace([openPair(pair, shared.trust.now)]);
  };
  if (settings.mode === 'self-signed')
    return await openSelfSigned(settings.names, tools, shared, local.certificate, useLocal);
  return await openAcme(settings.acme, tools, shared, useLocal);
}

async function openSelfSigned(
  names: readonly string[],
  { now, tell }: GateCertificateTools,
  shared: Shared,
  authority: GateCertificates['authority'],
  useLocal: (names: readonly string[]) => Promise<void>,
): Promise<GateCertificates> {
  const { certificates, trust, opened } = shared;
  let failed: Partial<Pick<TlsStatus, 'problem' | 'triesAt'>> = {};
  const own = (): string[] => localNames(names);
  await useLocal(own());
  shared.said();
  const renew = async (): Promise<void> => {
    try {
      // If the machine gets another address, the certificate includes it.
      await useLocal([...new Set([...(certificates.first?.names ?? []), ...own()])]);
      failed = {};
    } catch (error) {
      const cause = (error as Error).message;
      failed = { problem: cause, triesAt: now() + againMs };
      tell('error', { cause }, 'the self-signed certificate could not be renewed');
    }
  };
  const every = setInterval(() => void renew(), againMs).unref();
  opened.defer(() => clearInterval(every));
  return {
    encryption: shared.encryption,
    answerTo: nothing,
    authority,
    status: () => shared.status({ ...failed, renewsAt: renewalOfFirst(certificates) }),
    reload: () => trust.reload(),
    start: () => undefined,
    stop: () => Promise.resolve(opened.dispose()),
  };
}

async function openAcme(
  settings: AcmeSettings,
  tools: GateCertificateTools,
  shared: Shared,
  useLocal: (names: readonly string[]) => Promise<void>,
): Promise<GateCertificates> {
  const { certificates, trust, said, opened } = shared;
  const acme = new AcmeCertificates(settings, {
    store: tools.store,
    certificates,
    now: tools.now,
    nowMs: tools.nowMs,
    order: orderCertificate,
    trust: () => trust.now,
    onRenew: () => said(),
    onFail: (error, waitMs) =>
      tools.tell(
        'error',
        { reason: (error as Error).message, againInSeconds: Math.round(waitMs / 1000) },
        'no certificate from the authority; what is there stays',
      ),
  });
  // The start does not wait for the authority; until it answers, callers see a certificate that they cannot trust.
  if (await acme.load()) said();
  else await useLocal(settings.domains);
  return {
    encryption: { ...shared.encryption, challenged: (hello) => acme.challenged(hello) },
    answerTo: (token) => acme.answerTo(token),
    authority: none,
    status: () => {
      const { problem, renewsAt, triesAt } = acme;
      return shared.status({ problem, renewsAt, triesAt, provisional: renewsAt === undefined });
    },
    reload: () => trust.reload(),
    start: (ways) => {
      acme.kinds = ways;
      acme.start();
    },
    stop: async () => {
      opened.dispose();
      await acme.stop();
    },
  };
}

/** Field by field, without the private parts of a pair. */
function tellable({ names, issuer, notBefore, notAfter, keyType, fingerprint }: Pair): CertificateFacts {
  return { names, issuer, notBefore, notAfter, keyType, fingerprint };
}

function renewalOfFirst({ first }: Certificates): number | undefined {
  if (first?.notBefore === undefined || first.notAfter === undefined) return undefined;
  return renewalOf(first.notBefore, first.notAfter);
}

function sayWhatIs(pairs: readonly Pair[], tell: GateCertificateTools['tell']): void {
  for (const { names, notAfter } of pairs) {
    const until = notAfter === undefined ? 'unknown' : new Date(notAfter).toISOString();
    tell('info', { names: names.slice(0, 8).join(', '), until }, 'the gateway shows this certificate');
  }
}

function warnOfEnds(pairs: readonly Pair[], now: WallMs, tell: GateCertificateTools['tell']): void {
  for (const { names, notAfter } of pairs) {
    const days = Math.floor(((notAfter ?? Infinity) - now) / day);
    if (days < 0) tell('error', { names: names[0] }, 'a certificate has expired: clients no longer trust it');
    else if (warnDays.some((left) => left === days)) tell('warn', { names: names[0], days }, 'a certificate ends soon');
  }
}
