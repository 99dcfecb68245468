// What may be said of one of the gate's certificates: read from it in src/tls, shown to operators by src/management.

export interface CertificateFacts {
  /** Lower-case host names and addresses, `*.` for one label of any name. */
  readonly names: readonly string[];
  /** Who vouches for it, as far as it can be said in a line. */
  readonly issuer: string | undefined;
  /** Unix milliseconds. */
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
  /** `EC P-256`, `RSA 2048`. */
  readonly keyType: string | undefined;
  /** SHA-256 of the whole, as browsers write it. */
  readonly fingerprint: string | undefined;
}
