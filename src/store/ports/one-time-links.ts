// One-time links, stored by the digest of their code.
import type { AuditEvent } from '../../domain/audit.ts';
import type { LinkPurpose, OneTimeLink } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';

export interface LinkStore {
  /**
   * A link; earlier ones for the same purpose and subject open nothing any more. With `beside` they stay, and there are never
   * more than so many that open something: then nothing is stored, and the answer is false.
   */
  insertLink(link: OneTimeLink, event: AuditEvent, beside?: number): Promise<boolean>;
  /** What a link is about, if it is not over; leaves it as it is. */
  findLink(digest: string, purpose: LinkPurpose, at: WallMs): Promise<string | undefined>;
  /** Uses a link up, once, if it is not over, and others for the same with it; gives its subject. */
  useLink(digest: string, purpose: LinkPurpose, at: WallMs): Promise<string | undefined>;
}
