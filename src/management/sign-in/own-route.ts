// Routes of sign-in that are ours and not the library's: what they are asked and what they answer, and the names of their cookies.
import type { PersonId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';

export interface Session {
  readonly id: string;
  readonly personId: PersonId;
  readonly fresh: boolean;
}

export interface OwnRouteRequest {
  /** As the route's shape reads it. */
  readonly body: unknown;
  readonly query: string;
  /** By the part of the name behind our prefix. */
  readonly cookie: (name: string) => string | undefined;
  readonly session: Session | undefined;
  readonly from: { readonly address: string; readonly userAgent: string };
}

export interface OwnRouteAnswer {
  readonly json?: unknown;
  /** 200 where nothing is said. */
  readonly status?: number;
  /** Instead of an answer: the browser is sent to this page of ours. */
  readonly location?: string;
  /** Lines for Set-Cookie. */
  readonly cookies?: readonly string[];
}

/** @throws Problem, Fault. */
export type OwnRoute = (asked: OwnRouteRequest) => Promise<OwnRouteAnswer>;

/**
 * Lines for Set-Cookie that open a session. `still`: is what it is opened by still there? Asked when the session is, so that whatever
 * takes that away either sees the session and ends it, or is seen. `provenAt`: when they last showed who they are, where that was not
 * just now.
 * @throws Problem `unauthenticated` where it is not.
 */
export type OpenSession = (
  id: PersonId,
  from: OwnRouteRequest['from'],
  still?: () => Promise<boolean>,
  provenAt?: WallMs,
) => Promise<readonly string[]>;

/** Cookies of this gate: none that a script reads, that another site sends along, or that another gate on this host overwrites. */
export class CookieNames {
  readonly prefix: string;
  readonly #secure: boolean;

  /**
   * Cookies know hosts and no ports (RFC 6265 §8.5), so two gates on one host would sign each other out if their names were the same:
   * each carries the mark of its installation. `__Host-` needs Secure (RFC 6265bis §4.1.3.2).
   */
  constructor(installation: string, secure: boolean) {
    this.prefix = `${secure ? '__Host-' : ''}sekisho-${installation}`;
    this.#secure = secure;
  }

  /** The value of one of ours in a Cookie header. */
  read(header: string, name: string): string | undefined {
    const wanted = `${this.prefix}.${name}=`;
    for (const pair of header.split(';')) {
      const trimmed = pair.trim();
      if (trimmed.startsWith(wanted)) return trimmed.slice(wanted.length);
    }
    return undefined;
  }

  /** Those of ours alone, and of them those that are named. */
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
