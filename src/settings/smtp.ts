// The address of a mail server, as people write it: a password may hold signs that mean something else in a URL.

/**
 * The address with user and password percent-encoded; undefined where it is none. Everything up to the last @ is user and
 * password, so that #, /, ? and @ in a password end nothing (RFC 3986, section 3.2.1 wants them encoded, and a parser that
 * follows it takes `smtp://user:pa#ss@host` for a host called user).
 */
export function smtpAddress(text: string): string | undefined {
  const match = /^(smtps?):\/\/(?:(\S*)@)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?\/?(\?[^\s#@]*)?$/i.exec(text);
  if (!match) return undefined;
  const [, scheme = '', user, host = '', port = '', query = ''] = match;
  if (port !== '' && (Number(port.slice(1)) < 1 || Number(port.slice(1)) > 65_535)) return undefined;
  const colon = user?.indexOf(':') ?? -1;
  const parts = user === undefined ? [] : colon < 0 ? [user] : [user.slice(0, colon), user.slice(colon + 1)];
  const login = user === undefined ? '' : `${parts.map((part) => encodeURIComponent(decoded(part))).join(':')}@`;
  return `${scheme.toLowerCase()}://${login}${host}${port}${query}`;
}

/** A % that encodes nothing is a %. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** For people: with its user and without its password. */
export const withoutPassword = (address: string): string =>
  address.replace(/^(smtps?:\/\/[^:@/]*):[^@/]*@/, '$1:[secret]@');

export const hasPassword = (address: string): boolean => withoutPassword(address) !== address;

/** The address with a password that is kept apart from it. */
export const withPassword = (address: string, password: string): string =>
  password === ''
    ? address
    : address.replace(
        /^(smtps?:\/\/)([^:@/]+)@/,
        (_, scheme: string, user: string) => `${scheme}${user}:${encodeURIComponent(password)}@`,
      );
