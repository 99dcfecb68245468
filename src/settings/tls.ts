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
    'auto encrypts if tls_cert or acme_domains is set; self-signed creates its own authority, for a local network.',
  ),
  tlsCert: setting(
    'tls_cert',
    list,
    [],
    'list of paths',
    'Certificates with their chains, PEM or PKCS#12 (.p12, .pfx); the first is for callers that name no host.',
  ),
  tlsKey: setting(
    'tls_key',
    list,
    [],
    'list of paths',
    'Private keys of the PEM certificates, in the same order. Changed files are reloaded.',
  ),
  tlsPassphrase: setting(
    'tls_passphrase',
    z.string(),
    '',
    'text',
    'Passphrase of encrypted private keys and PKCS#12 files.',
    true,
  ),
  tlsNames: setting(
    'tls_names',
    list,
    [],
    'list of names',
    'Further names and addresses for the self-signed certificate, besides those of this machine.',
  ),
  httpPort: setting(
    'http_port',
    port,
    0,
    '',
    'Port for plain HTTP on an encrypted gateway: redirects browsers to https and answers ACME. 0: 80 with ACME, otherwise none.',
  ),
  acmeDomains: setting(
    'acme_domains',
    names,
    [],
    'list of names',
    "Names to get certificates for (ACME, Let's Encrypt). Setting them agrees to the authority's terms.",
  ),
  acmeEmail: setting(
    'acme_email',
    z.string().refine((text) => text === '' || /^[^@\s]+@[^@\s]+$/.test(text), 'must be a mail address'),
    '',
    'address',
    'Where the authority may send mail.',
  ),
  acmeDirectory: setting(
    'acme_directory',
    z.string().refine((text) => /^https:\/\/\S+$/.test(text), 'must be an https:// address'),
    'https://acme-v02.api.letsencrypt.org/directory',
    'address',
    'The authority. For tests: https://acme-staging-v02.api.letsencrypt.org/directory.',
  ),
  acmeCa: setting('acme_ca', z.string(), '', 'path', 'Root certificate of an authority of your own.'),
  acmeKid: setting(
    'acme_kid',
    z.string(),
    '',
    'text',
    'Key id for an authority that requires an account binding (EAB).',
  ),
  acmeHmac: setting('acme_hmac', z.string(), '', 'text', 'HMAC key of that binding.', true),
  tlsClientCa: setting(
    'tls_client_ca',
    z.string(),
    '',
    'path',
    'Authority of client certificates. A key can require one, or a certificate can be a key itself.',
  ),
  tlsClientCrl: setting('tls_client_crl', z.string(), '', 'path', 'Revocation lists of that authority.'),
  tlsClientCert: setting(
    'tls_client_cert',
    z.enum(['optional', 'required']),
    'optional',
    '',
    'required refuses every connection without such a certificate, also to the pages.',
  ),
  upstreamCa: setting(
    'upstream_ca',
    byServer('a path'),
    [],
    'list of paths',
    'Authorities of https model servers, instead of the public ones; server=path for one server.',
  ),
  upstreamCert: setting(
    'upstream_cert',
    byServer('a path'),
    [],
    'list of paths',
    'Client certificate that the gateway shows to model servers; server=path for one server.',
  ),
  upstreamKey: setting(
    'upstream_key',
    byServer('a path'),
    [],
    'list of paths',
    'Private key of that certificate; server=path for one server.',
  ),
  upstreamHeaderFile: setting(
    'upstream_header_file',
    byServer('a path'),
    [],
    'list of paths',
    'File with header lines that are sent to model servers, such as Authorization: Bearer …; server=path for one server.',
  ),
} as const satisfies Record<string, Setting>;

function isName(text: string): boolean {
  return /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/i.test(text);
}
