// The sentences in English of the causes that are kept as the code of an error, and what both languages say of a code without an entry.
/** A page shows the code in parentheses behind the sentence. */
export const codesInEnglish = {
  health_late: 'it does not answer its health check in time',
  refused: 'it refuses connections',
  reset: 'it closed the connection',
  closed: 'it closed the connection',
  no_host: 'its host name is not found',
  no_host_now: 'its host name cannot be resolved now',
  no_route: 'its host cannot be reached',
  no_network: 'its network cannot be reached',
  timed_out: 'the connection timed out',
  connect_late: 'it does not accept a connection in time',
  expired: 'its certificate has expired',
  self_signed: 'its certificate is self-signed and not trusted',
  self_signed_chain: 'the authority of its certificate is not trusted',
  unverified: 'its certificate cannot be verified',
  no_issuer: 'the issuer of its certificate is not known',
  other_name: 'its certificate is for another host name',
} as const;

export const otherCode = { en: 'the connection failed', ja: '接続に失敗しました' } as const;

// Codes of Node, of undici and of OpenSSL. Only these: a person may have typed a reason in capital letters.
const other =
  /^(?:E(?:ACCES|ADDRNOTAVAIL|AI_[A-Z]+|AUTH|CONNABORTED|CONNECTION|DNS|HOSTDOWN|INVAL|MFILE|NETDOWN|NETRESET|NFILE|NOBUFS|NOENT|PERM|PIPE|PROTO|SOCKET|TLS)|(?:CERT|ERR|HPE|UND_ERR)(?:_[A-Z0-9]+)+)$/;

/** The code in the message of a failed system call, such as `connect ECONNREFUSED 127.0.0.1:25`; or the text itself. */
export const codeIn = (text: string): string =>
  /^(?:connect|getaddrinfo|read|write) ([A-Z][A-Z0-9_]+)(?: \S+)?$/.exec(text)?.[1] ?? text;

export const isOtherCode = (code: string): boolean => other.test(code);
