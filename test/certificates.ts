// Certificates for tests, made by Debian's openssl: authorities, servers, clients and revocation lists.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Made {
  readonly cert: string;
  readonly key: string;
}

/** The settings of a gate that presents these certificates. */
export const filesOf = (...made: readonly Made[]): { TLS_CERT: string; TLS_KEY: string } => ({
  TLS_CERT: made.map(({ cert }) => cert).join(','),
  TLS_KEY: made.map(({ key }) => key).join(','),
});

let count = 0;

const openssl = (words: readonly string[]): Buffer =>
  execFileSync('openssl', words, { stdio: ['ignore', 'pipe', 'ignore'] });

export const rsaKey = ['-newkey', 'rsa:2048', '-nodes'];
const freshKey: readonly string[] = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export function makeAuthority(directory: string, name = 'Test authority', days = 30): Made {
  const at = join(directory, `authority-${++count}`);
  openssl([
    'req',
    '-x509',
    ...freshKey,
    '-keyout',
    `${at}.key`,
    '-out',
    `${at}.pem`,
    '-days',
    String(days),
    '-subj',
    `/CN=${name}`,
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]);
  return { cert: `${at}.pem`, key: `${at}.key` };
}

interface Habits {
  readonly authority?: Made;
  readonly days?: number;
  readonly use?: string;
  readonly key?: readonly string[];
  /** An intermediate authority may sign other certificates. */
  readonly isAuthority?: boolean;
}

/** A leaf for these names (`DNS:a.example`, `IP:127.0.0.1`); without an authority it is self-signed. */
export function makeCertificate(
  directory: string,
  names: readonly string[],
  { authority, days = 30, use = 'serverAuth', key = freshKey, isAuthority = false }: Habits = {},
): Made {
  const at = join(directory, `leaf-${++count}`);
  const basic = `basicConstraints=critical,CA:${isAuthority ? 'TRUE' : 'FALSE'}`;
  const extensions = `subjectAltName=${names.join(',')}\nextendedKeyUsage=${use}\n${basic}\n`;
  writeFileSync(`${at}.ext`, extensions);
  openssl(['req', '-new', ...key, '-keyout', `${at}.key`, '-out', `${at}.csr`, '-subj', `/CN=leaf-${count}`]);
  const signer = authority
    ? ['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial']
    : ['-signkey', `${at}.key`];
  openssl([
    'x509',
    '-req',
    '-in',
    `${at}.csr`,
    '-out',
    `${at}.pem`,
    '-days',
    String(days),
    '-extfile',
    `${at}.ext`,
    ...signer,
  ]);
  return { cert: `${at}.pem`, key: `${at}.key` };
}

/** The same pair in one PKCS#12 container; `more` adds openssl options (`-certfile`, `-keypbe`). */
export function makeContainer({ cert, key }: Made, passphrase: string, more: readonly string[] = []): string {
  const file = cert.replace('.pem', '.p12');
  openssl(['pkcs12', '-export', '-in', cert, '-inkey', key, '-out', file, '-passout', `pass:${passphrase}`, ...more]);
  return file;
}

/** The revocation list of an authority; `more` adds options for `openssl ca`, such as when the list ends. */
export function makeRevocationList(
  directory: string,
  authority: Made,
  revoked: readonly Made[],
  more: readonly string[] = [],
): string {
  const at = join(directory, `list-${++count}`);
  writeFileSync(`${at}.index`, '');
  writeFileSync(`${at}.number`, '01\n');
  writeFileSync(
    `${at}.conf`,
    `[ca]\ndefault_ca=us\n[us]\ndatabase=${at}.index\ncrlnumber=${at}.number\ndefault_md=sha256\ndefault_crl_days=30\n`,
  );
  const words = ['ca', '-config', `${at}.conf`, '-cert', authority.cert, '-keyfile', authority.key];
  for (const { cert } of revoked) openssl([...words, '-revoke', cert]);
  openssl([...words, '-gencrl', ...more, '-out', `${at}.pem`]);
  return `${at}.pem`;
}

/** A client certificate that expires at exactly this second. */
export function makeEnding(directory: string, authority: Made, endsAt: Date): Made {
  const made = makeCertificate(directory, ['DNS:ending.example'], { authority, use: 'clientAuth' });
  const at = made.cert.replace('.pem', '');
  writeFileSync(`${at}.index`, '');
  writeFileSync(
    `${at}.conf`,
    `[ca]\ndefault_ca=us\n[us]\ndatabase=${at}.index\nnew_certs_dir=${directory}\nrand_serial=yes\n` +
      'default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n',
  );
  const end = endsAt.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const words = [
    'ca',
    '-batch',
    '-notext',
    '-config',
    `${at}.conf`,
    '-cert',
    authority.cert,
    '-keyfile',
    authority.key,
  ];
  openssl([...words, '-in', `${at}.csr`, '-extfile', `${at}.ext`, '-enddate', end, '-out', made.cert]);
  return made;
}

/** Another certificate for the same key, as after a renewal. */
export function renewCertificate(directory: string, { cert, key }: Made, authority: Made): Made {
  const at = join(directory, `leaf-${++count}`);
  openssl([
    'x509',
    '-req',
    '-in',
    cert.replace('.pem', '.csr'),
    '-out',
    `${at}.pem`,
    '-days',
    '30',
    '-extfile',
    cert.replace('.pem', '.ext'),
    '-CA',
    authority.cert,
    '-CAkey',
    authority.key,
    '-CAcreateserial',
  ]);
  return { cert: `${at}.pem`, key };
}
