// The gateway's own sign-in routes, which replace the library's: their requests, their answers, and the names of their cookies.
import type { PersonId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';

/** The path of the sign-in routes. */
export const signInPath = '/portal/auth';

export interface Session {
  readonly id: string;
  readonly personId: PersonId;
  readonly fresh: boolean;
}

export interface OwnRouteRequest {
  /** As parsed by the schema of the route. */
  readonly body: unknown;
  readonly query: string;
  /** By the name without the gateway's prefix. */
  readonly cookie: (name: string) => string | undefined;
  readonly session: Session | undefined;
  readonly from: { readonly address: string; readonly userAgent: string };
}

export interface OwnRouteAnswer {
  readonly json?: unknown;
  /** 200 by default. */
  readonly status?: number;
  /** Redirects the browser to this page of the gateway, instead of an answer. */
  readonly location?: string;
  /** `Set-Cookie` lines. */
  readonly cookies?: readonly string[];
}

/** @throws Problem, Fault. */
export type OwnRoute = (asked: OwnRouteRequest) => Promise<OwnRouteAnswer>;

/**
 * `Set-Cookie` lines that open a session. `still`: whether the credential still exists; called after the session was created, so
 * that a concurrent removal of the credential either sees the session and ends it, or is seen here. `provenAt`: when the
 * person last proved their identity, if not just now.
 * @throws Problem `unauthenticated` if the credential is gone.
 */
export type OpenSession = (
  id: PersonId,
  from: OwnRouteRequest['from'],
  still?: () => Promise<boolean>,
  provenAt?: WallMs,
) => Promise<readonly string[]>;

/**
 * Cookies of this gateway. Scripts cannot read them, other sites cannot send them, and other gateways on this host cannot
 * overwrite them.
 */
export class CookieNames {
  readonly prefix: string;
  readonly #secure: boolean;

  /**
   * Cookies are per host, not per port (RFC 6265 §8.5), so two gateways on one host would sign each other out if their cookies
   * had the
   * same names; each name has a mark of its installation. `__Host-` requires Secure (RFC 6265bis §4.1.3.2).
   */
  constructor(installation: string, secure: boolean) {
    this.prefix = `${secure ? '__Host-' : ''}sekisho-${installation}`;
    this.#secure = secure;
  }

  /** The value of one of the gateway's cookies in a Cookie header. */
  read(header: string, name: string): string | undefined {
    const wanted = `${this.prefix}.${name}=`;
    for (const pair of header.split(';')) {
      const trimmed = pair.trim();
      if (trimmed.startsWith(wanted)) return trimmed.slice(wanted.length);
    }
    return undefined;
  }

  /** Only the gateway's own cookies with these names. */
  only(header: string, names: readonly string[]): string {
    return names
      .flatMap((name) => {
        const value = this.read(header, name);
        return value === undefined ? [] : [`${this.prefix}.${name}=${value}`];
      })
      .join('; ');
  }

  line(name: string, value: string, lifeSeconds: number): string {
    const secure = this.#secure ? '; Secure' : '';
    return `${this.prefix}.${name}=${value}; Max-Age=${lifeSeconds}; Path=/; HttpOnly; SameSite=Lax${secure}`;
  }

  /**
   * A line that opens a session, kept by the browser for as long as one can last: how long it may be idle is for the gate to say, which
   * renews a session in use without another cookie. Every other line stays as it is.
   */
  lasting(line: string, mostSeconds: number): string {
    return line.startsWith(`${this.prefix}.session_token=`) && !/; Max-Age=0\b/i.test(line)
      ? line.replace(/; Max-Age=\d+/i, `; Max-Age=${mostSeconds}`)
      : line;
  }

  end(name: string): string {
    return this.line(name, '', 0);
  }
}
