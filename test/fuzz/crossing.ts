// What must never cross between a caller and a model server, written from RFC 9110 (sections 7.6 and 11) and the threat
// model, not from the lists in src/upstream: an independent check of every header line.

const connectionOnly = new Set(
  (
    'connection keep-alive proxy-connection te trailer transfer-encoding upgrade http2-settings host content-length ' +
    'expect proxy-authenticate proxy-authorization proxy-authentication-info'
  ).split(' '),
);
const aboutTheCaller =
  /^(authorization|x-api-key|api-key|cookie2?|origin|referer|forwarded|x[-_]|cf-|true-client|client-|sec-|access-control-)/;
const aboutTheServer =
  /^(set-cookie|server|www-authenticate|strict-transport|alt-svc|clear-site|refresh|location|access-control-|x-|date|link|report)/;

export const mayGoOn = (name: string): boolean => !connectionOnly.has(name) && !aboutTheCaller.test(name);

/** The length of a whole answer is the only framing header that is passed back. */
export const mayComeBack = (name: string): boolean =>
  name === 'content-length' || (!connectionOnly.has(name) && !aboutTheServer.test(name));

/** Names that the Connection headers declare to be hop-by-hop; lower case. */
export function connectionOptions(values: readonly string[]): ReadonlySet<string> {
  return new Set(values.flatMap((value) => value.split(',').map((name) => name.trim().toLowerCase())));
}
