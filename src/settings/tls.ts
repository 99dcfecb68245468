// Settings of encryption: what the gate shows to its callers, whom it asks for a certificate, and how it speaks to the
// model servers behind it.
import { z } from 'zod';
import { list, type Setting, setting } from './kinds.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const names = list.pipe(z.array(z.string().refine(isName, 'must be a host name such as gate.example.org')));
const byServer = (what: string) =>
  list.pipe(
    z.array(
      z.string().refine((text) => /^(https?:\/\/[^=]+=)?[^=]+$/.test(text), `must be ${what}, or server=${what}`),
    ),
  );

export const tlsSettings = {
  tls: setting(
    'tls',
    z.enum(['auto', 'off', 'self-signed']),
    'auto',
    '',
    'auto encrypts where tls_cert or acme_domains is set; self-signed makes its own authority, for a local network.',
  ),
  tlsCert: setting(
    'tls_cert',
    list,
    [],
    'list of paths',
    'Certificates with their chains, PEM or PKCS#12 (.p12, .pfx); the first is shown to callers who name no host.',
  ),
  tlsKey: setting(
    'tls_key',
    list,
    [],
    'list of paths',
    'Private keys of the PEM certificates, in the same order. Files may change while the gate runs.',
  ),
  tlsPassphrase: setting(
    'tls_passphrase',
    z.string(),
    '',
    'text',
    'Opens encrypted private keys and PKCS#12 files.',
    true,
  ),
  tlsNames: setting(
    'tls_names',
    list,
    [],
    'list of names',
    'More names and addresses for the self-signed certificate, beside those of this machine.',
  ),
  httpPort: setting(
    'http_port',
    port,
    0,
    '',
    'Port for plain HTTP where the gate encrypts: it leads browsers to https and answers ACME. 0: 80 with ACME, else none.',
  ),
  acmeDomains: setting(
    'acme_domains',
    names,
    [],
    'list of names',
    "Names to get a certificate for by itself (ACME, Let's Encrypt); setting them agrees to the authority's terms.",
  ),
  acmeEmail: setting(
    'acme_email',
    z.string().refine((text) => text === '' || /^[^@\s]+@[^@\s]+$/.test(text), 'must be a mail address'),
    '',
    'address',
    'Whom the authority may write to.',
  ),
  acmeDirectory: setting(
    'acme_directory',
    z.string().refine((text) => /^https:\/\/\S+$/.test(text), 'must be an https:// address'),
    'https://acme-v02.api.letsencrypt.org/directory',
    'address',
    'The authority. For first tries: https://acme-staging-v02.api.letsencrypt.org/directory.',
  ),
  acmeCa: setting('acme_ca', z.string(), '', 'path', 'Root certificate of an authority of your own.'),
  acmeKid: setting('acme_kid', z.string(), '', 'text', 'Key id where the authority knows its customers (EAB).'),
  acmeHmac: setting('acme_hmac', z.string(), '', 'text', 'The key that goes with it.', true),
  tlsClientCa: setting(
    'tls_client_ca',
    z.string(),
    '',
    'path',
    'Authority whose client certificates are asked for: a key can demand one, or a certificate be a key itself.',
  ),
  tlsClientCrl: setting('tls_client_crl', z.string(), '', 'path', 'Its revocation list.'),
  tlsClientCert: setting(
    'tls_client_cert',
    z.enum(['optional', 'required']),
    'optional',
    '',
    'required turns away every connection without such a certificate, the pages too.',
  ),
  upstreamCa: setting(
    'upstream_ca',
    byServer('a path'),
    [],
    'list of paths',
    'Authorities of https model servers, instead of the public ones; server=path for one of them.',
  ),
  upstreamCert: setting(
    'upstream_cert',
    byServer('a path'),
    [],
    'list of paths',
    'Client certificate that the gate shows to model servers; server=path for one of them.',
  ),
  upstreamKey: setting(
    'upstream_key',
    byServer('a path'),
    [],
    'list of paths',
    'Private key of that certificate; server=path for one of them.',
  ),
  upstreamHeaderFile: setting(
    'upstream_header_file',
    byServer('a path'),
    [],
    'list of paths',
    'File with header lines that model servers are sent, such as Authorization: Bearer …; server=path for one of them.',
  ),
} as const satisfies Record<string, Setting>;

function isName(text: string): boolean {
  return /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/i.test(text);
}
