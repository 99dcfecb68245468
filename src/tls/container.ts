// Unpacks PKCS#12 containers (.p12, .pfx; RFC 7292) into a chain and a key, as in PEM files. Node would pass the whole
// container to OpenSSL, which uses every further certificate in it as a client authority: anyone with a certificate of the
// server's own authority would pass TLS_CLIENT_CERT=required.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { noPassphrase, PairUnusable } from './pair.ts';

export interface Unpacked {
  /** PEM: the certificate of the key, then what leads from it to its authority. */
  readonly cert: string;
  /** PEM, PKCS#8, not encrypted. */
  readonly key: string;
}

export type ContainerReader = (container: Buffer, passphrase: string) => Unpacked;

/** Loads the parser; only gates with a container need it. */
export async function loadContainerReader(): Promise<ContainerReader> {
  const { default: forge } = await import('node-forge');
  const { asn1, pki, pkcs12, util } = forge;
  const der = (value: Parameters<typeof asn1.toDer>[0]): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');

  /** @throws PairUnusable if the container cannot be read or opened, or has no certificate with its key. */
  return (container, passphrase) => {
    let opened: ReturnType<typeof pkcs12.pkcs12FromAsn1>;
    try {
      opened = pkcs12.pkcs12FromAsn1(asn1.fromDer(util.createBuffer(container.toString('latin1'))), passphrase);
    } catch (error) {
      const wrong = /MAC|password|decrypt/i.test((error as Error).message);
      throw new PairUnusable(wrong ? noPassphrase : 'it is no PKCS#12 container');
    }
    const bags = opened.safeContents.flatMap(({ safeBags }) => safeBags);
    const keys: KeyObject[] = [];
    const certificates: X509Certificate[] = [];
    try {
      for (const { type, key, cert, asn1: raw } of bags) {
        // The library parses RSA keys and leaves other types unparsed.
        if (type === pki.oids['keyBag'] || type === pki.oids['pkcs8ShroudedKeyBag'])
          keys.push(
            createPrivateKey({
              key: der(key ? pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(key)) : raw),
              format: 'der',
              type: 'pkcs8',
            }),
          );
        if (type === pki.oids['certBag'])
          certificates.push(new X509Certificate(der(cert ? pki.certificateToAsn1(cert) : raw)));
      }
    } catch {
      throw new PairUnusable('a certificate or key in it cannot be read');
    }
    for (const key of keys) {
      const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key));
      if (leaf)
        return { cert: chainOf(leaf, certificates), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
    }
    throw new PairUnusable('there is no certificate with its private key in it');
  };
}

/** The leaf and its issuers in order, without the root: callers have it or do not trust it (RFC 8446 §4.4.2). */
function chainOf(leaf: X509Certificate, all: readonly X509Certificate[]): string {
  const chain = [leaf];
  for (let last = leaf; chain.length <= all.length; ) {
    const issuer = all.find(
      (one) => !chain.includes(one) && !one.checkIssued(one) && last.checkIssued(one) && last.verify(one.publicKey),
    );
    if (!issuer) break;
    chain.push(issuer);
    last = issuer;
  }
  return chain.map(String).join('');
}
