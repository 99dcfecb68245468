// The address of a server that identifies people: an OpenID Connect provider, or an authorization server.
/** OpenID Connect Discovery §3 and RFC 8414 §2 want https; without encryption only this machine is spoken to, for development. */
export function isIssuer(text: string): boolean {
  const url = URL.parse(text);
  if (!url || url.search || url.hash || url.username || url.password) return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
