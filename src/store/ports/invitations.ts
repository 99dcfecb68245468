// Invitations. An application uses one up in the transaction that stores it (admission.ts).
import type { Invite } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { WallMs } from '../../domain/time.ts';

export interface InvitationStore {
  insertInvite(invite: Invite, event: AuditEvent): Promise<void>;
  /** The newest first. */
  listInvites(limit: number): Promise<Invite[]>;
  /** The invitation with that digest, if it is unused, not over, and for that address; it is used up with the application. */
  findInvite(digest: string, email: string, at: WallMs): Promise<Invite | undefined>;
}
