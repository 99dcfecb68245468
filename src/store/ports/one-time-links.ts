// One-time links, stored by the digest of their code.
import type { AuditEvent } from '../../domain/audit.ts';
import type { LinkPurpose, OneTimeLink } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';

export interface LinkStore {
  /**
   * Stores a link and invalidates earlier ones for the same purpose and subject. With `beside`, earlier links stay
   * valid, up to that many; beyond it nothing is stored, and the result is false.
   */
  insertLink(link: OneTimeLink, event: AuditEvent, beside?: number): Promise<boolean>;
  /** The subject of a valid link, without using it. */
  findLink(digest: string, purpose: LinkPurpose, at: WallMs): Promise<string | undefined>;
  /** Uses a valid link once, together with others for the same subject; returns the subject. */
  useLink(digest: string, purpose: LinkPurpose, at: WallMs): Promise<string | undefined>;
}
