// Builds the encryption from the settings: certificates, client certificates, and how plain HTTP is handled.

import type { Unencrypted } from '../listener/server.ts';
import type { Log } from '../observe/log.ts';
import { type Config, pageUrl, tlsMode } from '../settings/config.ts';
import { type GateCertificates, type GateCertificateTools, openGateCertificates } from '../tls/certificate-manager.ts';

/** The ports on which an authority can validate a name. */
export const bothWays = ['http-01', 'tls-alpn-01'] as const;

export const oneWay = ['tls-alpn-01'] as const;

export async function gateCertificatesOf(
  config: Config,
  { logger }: Log,
  tools: Pick<GateCertificateTools, 'store' | 'now' | 'nowMs'>,
): Promise<GateCertificates | undefined> {
  const mode = tlsMode(config);
  if (mode === 'off') return undefined;
  return await openGateCertificates(
    {
      mode,
      files: {
        cert: config.tlsCert,
        key: config.tlsKey,
        passphrase: config.tlsPassphrase,
        clientCa: config.tlsClientCa,
        clientCrl: config.tlsClientCrl,
      },
      acme: {
        domains: config.acmeDomains,
        email: config.acmeEmail,
        directory: config.acmeDirectory,
        ca: config.acmeCa,
        kid: config.acmeKid,
        hmac: config.acmeHmac,
      },
      names: config.tlsNames,
      clientCertificates: config.tlsClientCa === '' ? 'none' : config.tlsClientCert,
      dataDir: config.dataDir,
      gateName: config.live.now.gateName,
    },
    { ...tools, tell: (level, fields, sentence) => logger[level](fields, sentence) },
  );
}

/** The current encryption, for operators. */
export function encryptionNow({ trustedProxies }: Config, certificates: GateCertificates | undefined) {
  if (certificates) {
    const { mode, ...status } = certificates.status();
    return { how: mode, ...status };
  }
  return {
    how: trustedProxies.length > 0 ? ('proxy' as const) : ('off' as const),
    clientCertificates: 'none' as const,
    certificates: [],
    provisional: false,
    renewsAt: undefined,
    problem: undefined,
    triesAt: undefined,
  };
}

/** `port`: the bound one. */
export function unencryptedOf(config: Config, { answerTo }: GateCertificates, port: number): Unencrypted {
  return {
    answerTo,
    pageFor: ({ url = '/', headers: { host = '' } }) => {
      const page = pageUrl({ ...config, port });
      // Without PUBLIC_URL the page keeps the host name that the browser used.
      if (config.publicUrl === '' && /^[A-Za-z0-9.-]+(:\d+)?$/.test(host)) page.hostname = host.replace(/:\d+$/, '');
      return new URL(url, page).href;
    },
  };
}
