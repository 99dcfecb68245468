// Invitations. An application uses one up in the transaction that stores it (admission.ts).
import type { Invite } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { WallMs } from '../../domain/time.ts';

export interface InvitationStore {
  insertInvite(invite: Invite, event: AuditEvent): Promise<void>;
  /** Newest first. */
  listInvites(limit: number): Promise<Invite[]>;
  /** The unused, valid invitation with that digest, for that address; undefined: for any. It is used up with the application. */
  findInvite(digest: string, email: string | undefined, at: WallMs): Promise<Invite | undefined>;
}
