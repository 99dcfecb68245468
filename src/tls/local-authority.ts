// The gateway's own certificate authority, for networks without public names. Its private key is created once and never leaves
// the data directory. It only signs certificates for the gateway's names, which are replaced when the names change or after two
// thirds of their life.
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { WallMs } from '../domain/time.ts';
import { writeWhole } from '../durable-file.ts';
import { namesOf } from './facts.ts';
import { PairUnusable } from './pair.ts';

export interface LocalAuthority {
  /** PEM; what people install on their devices. */
  readonly certificate: () => string;
  /** A chain and a key for these names; the previous ones while they are valid. */
  readonly pairFor: (names: readonly string[], now: WallMs) => Promise<{ cert: string; key: string }>;
}

const day = 86_400_000;
/** The longest validity that Apple's systems accept. */
const leafDays = 397;
const authorityDays = 3650;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signing = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** Loads the library on demand, because few gateways need it. */
async function loadX509() {
  // It needs decorator metadata, which is not part of the language.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  return x509;
}

/**
 * The release of the first version. A clock before this time is wrong (a board without a battery starts in 1970), so it cannot tell
 * whether an authority is from the future.
 */
const earliestTrueClock = Date.UTC(2026, 0, 1);

/**
 * `now` in Unix milliseconds. `onRemake` gets the reason why the existing authority cannot be used any more.
 * @throws PairUnusable if the existing authority is damaged, because a new one would silently replace what people trust.
 */
export async function openLocalAuthority(
  dataDir: string,
  name: string,
  now: WallMs,
  onRemake: (reason: string) => void,
): Promise<LocalAuthority> {
  const place: Place = (file) => join(dataDir, file);
  const x509 = await loadX509();

  const make = (at: number): Promise<string> => makeAuthority(x509, place, name, at);
  /** The authority for the time `at`: the existing one, or a new one if it is not valid then. */
  const authorityAt = async (at: number): Promise<string> => {
    const found = readIfThere(place('authority.pem'));
    if (found === undefined) return await make(at);
    const reason = whyNot(checkedAuthority(found, readIfThere(place('authority.key')), place('authority.pem')), at);
    if (reason === undefined) return found;
    onRemake(reason);
    renameSync(place('authority.pem'), place('authority.pem.old'));
    return await make(at);
  };

  let certificate = await authorityAt(now);
  const issue = (names: readonly string[], at: number): Promise<{ cert: string; key: string }> =>
    issuePair(x509, place, certificate, names, at);
  return {
    certificate: () => certificate,
    pairFor: async (names, at) => {
      certificate = await authorityAt(at);
      const [cert, key] = [readIfThere(place('gate.pem')), readIfThere(place('gate.key'))];
      return cert !== undefined && key !== undefined && willDo({ cert, key }, certificate, names, at)
        ? { cert, key }
        : await issue(names, at);
    },
  };
}

type Place = (file: string) => string;
type X509Library = Awaited<ReturnType<typeof loadX509>>;

/** Creates and stores an authority for the time `at`. Returns its certificate. */
async function makeAuthority(x509: X509Library, place: Place, name: string, at: number): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { BasicConstraintsExtension, KeyUsagesExtension, KeyUsageFlags, SubjectKeyIdentifierExtension } = x509;
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [`${name} on ${hostname()}`] }],
    notBefore: new Date(at - day),
    notAfter: new Date(at + authorityDays * day),
    signingAlgorithm: signing,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const text = made.toString('pem');
  // The certificate is written last. A key without a certificate comes from an interrupted start, and no caller trusts it yet.
  writeWhole(place('authority.key'), await pemOf(keys.privateKey));
  writeWhole(place('authority.pem'), text);
  return text;
}

/** Creates and stores a certificate for these names, signed by this authority. */
async function issuePair(
  x509: X509Library,
  place: Place,
  certificate: string,
  names: readonly string[],
  at: number,
): Promise<{ cert: string; key: string }> {
  const {
    AuthorityKeyIdentifierExtension,
    BasicConstraintsExtension,
    ExtendedKeyUsage,
    ExtendedKeyUsageExtension,
    KeyUsageFlags,
    KeyUsagesExtension,
    SubjectAlternativeNameExtension,
  } = x509;
  const authority = new x509.X509Certificate(certificate);
  const signingKey = await readKey(readFileSync(place('authority.key'), 'utf8'));
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [(names[0] ?? 'localhost').slice(0, 64)] }],
    issuer: authority.subject,
    notBefore: new Date(at - day),
    notAfter: new Date(Math.min(at + leafDays * day, authority.notAfter.getTime())),
    signingAlgorithm: signing,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await AuthorityKeyIdentifierExtension.create(authority),
    ],
  });
  const pair = { cert: `${leaf.toString('pem')}\n${certificate}`, key: await pemOf(keys.privateKey) };
  writeWhole(place('gate.key'), pair.key);
  writeWhole(place('gate.pem'), pair.cert);
  return pair;
}

/** @throws PairUnusable if the certificate cannot be read, or the key is missing or does not match. */
function checkedAuthority(pem: string, key: string | undefined, path: string): X509Certificate {
  const advice = `put back the authority.key that belongs to it, or remove ${path} to create a new authority, which people have to trust again`;
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    throw new PairUnusable(`${path}: it cannot be read; ${advice}`);
  }
  if (key === undefined) throw new PairUnusable(`${path}: its private key authority.key is missing; ${advice}`);
  if (!isKeyOf(certificate, key)) throw new PairUnusable(`${path}: authority.key is not its private key; ${advice}`);
  return certificate;
}

/** Why this authority cannot be used at that time; undefined if it can. */
function whyNot({ validFrom, validTo }: X509Certificate, at: number): string | undefined {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (at >= to) return `the authority ended on ${new Date(to).toISOString()}`;
  if (at < from && at >= earliestTrueClock)
    return `the authority was made when the clock was wrong: it begins on ${new Date(from).toISOString()}`;
  return undefined;
}

function isKeyOf(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Every local name and address of this machine, and the operator's additions. */
export function localNames(added: readonly string[]): string[] {
  const own = hostname().toLowerCase();
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    // Link-local IPv6 addresses need the name of the interface, which a certificate cannot have.
    .filter(({ address }) => !/^fe80:/i.test(address))
    .map(({ address }) => address.toLowerCase());
  const names = [
    'localhost',
    own,
    `${own}.local`,
    '127.0.0.1',
    '::1',
    ...addresses,
    ...added.map((name) => name.toLowerCase()),
  ];
  return [...new Set(names)].filter((name) => isIP(name) !== 0 || /^[a-z0-9*]([a-z0-9.-]{0,252})$/.test(name));
}

/** Also false if a start was interrupted between the two files, or one of them is damaged. */
function willDo(
  { cert, key }: { cert: string; key: string },
  authority: string,
  names: readonly string[],
  now: WallMs,
): boolean {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch {
    return false;
  }
  const has = new Set(namesOf(leaf));
  const [from, to] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
  return (
    isKeyOf(leaf, key) &&
    leaf.verify(new X509Certificate(authority).publicKey) &&
    names.every((name) => has.has(name)) &&
    now >= from &&
    now < renewalOf(from, to)
  );
}

/** When a certificate with this validity is renewed; Unix milliseconds. */
export const renewalOf = (from: number, to: number): number => from + (to - from) * (2 / 3);

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** 127 random bits, positive (RFC 5280, section 4.1.2.2). */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
}

function readKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}
