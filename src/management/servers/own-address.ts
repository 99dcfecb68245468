// Whether an address belongs to this gateway. A gateway that uses itself as a model server would loop; if the loop leads
// through another name, receive.ts ends calls that arrive a second time.
import { hostname, networkInterfaces } from 'node:os';

export interface Listening {
  readonly host: string;
  /** 0: none. */
  readonly ports: readonly number[];
  /** Empty: none. */
  readonly publicUrl: string;
}

const defaultPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export function isOwnAddress(address: string, { host, ports, publicUrl }: Listening): boolean {
  const url = new URL(address);
  if (publicUrl !== '' && url.origin === new URL(publicUrl).origin) return true;
  const port = url.port === '' ? (defaultPorts[url.protocol] as number) : Number(url.port);
  if (!ports.includes(port)) return false;
  const name = plain(url.hostname);
  return (publicUrl !== '' && name === plain(new URL(publicUrl).hostname)) || isNameOf(plain(host), name);
}

function isNameOf(listens: string, name: string): boolean {
  if (namesOf(listens).has(name)) return true;
  if (isMachine(name)) return isAny(listens) || isLoopback(listens);
  // All of 127.0.0.0/8 is this machine (RFC 1122 §3.2.1.3), but a listener on one of these addresses only answers there.
  return isAny(listens) && name.startsWith('127.');
}

/** The names and addresses on which a listener on that host answers. */
function namesOf(listens: string): ReadonlySet<string> {
  if (isAny(listens)) {
    const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const name = hostname().toLowerCase();
    return new Set([...everywhere, name, `${name}.local`, ...own.map(({ address }) => plain(address))]);
  }
  // Connecting to 0.0.0.0 connects to this machine.
  return isLoopback(listens) ? new Set([...everywhere, listens]) : new Set([listens]);
}

const everywhere = ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::'];
/** Names that always or usually resolve to this machine (RFC 6761 §6.3, /etc/hosts of Debian and Red Hat). */
const isMachine = (name: string): boolean =>
  /^(?:.+\.)?localhost$|^localhost6?\.localdomain6?$|^ip6-(?:localhost|loopback)$/.test(name);

const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::';
const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.');

/** Without brackets, zone and trailing dot; an IPv4-mapped IPv6 address becomes IPv4. */
function plain(host: string): string {
  const bare = host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/%.*$/, '')
    .replace(/\.$/, '');
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(bare);
  if (!mapped) return bare.replace(/^::ffff:(?=\d+\.)/, '');
  const [high, low] = [Number.parseInt(mapped[1] as string, 16), Number.parseInt(mapped[2] as string, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
