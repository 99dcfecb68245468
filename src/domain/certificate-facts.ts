// Public facts about one of the gateway's certificates: read by src/tls, shown to operators by src/management.

export interface CertificateFacts {
  /** Lower-case host names and addresses; `*.` stands for one label. */
  readonly names: readonly string[];
  /** The issuer, if it fits on one line. */
  readonly issuer: string | undefined;
  /** Unix milliseconds. */
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
  /** `EC P-256`, `RSA 2048`. */
  readonly keyType: string | undefined;
  /** SHA-256 of the whole certificate, in the format that browsers use. */
  readonly fingerprint: string | undefined;
}
