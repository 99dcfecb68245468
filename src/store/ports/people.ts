// People who sign in, and the closing of accounts. The sign-in library manages passwords and sessions.
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, PersonId } from '../../domain/id.ts';
import type { Language, Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';

/** People who sign in; the sign-in library manages passwords and sessions. */
export interface PersonStore {
  findPerson(id: PersonId): Promise<Person | undefined>;
  findPersonByEmail(email: string): Promise<Person | undefined>;
  findPersonOf(accountId: AccountId): Promise<Person | undefined>;
  updatePerson(
    id: PersonId,
    change: {
      readonly name?: string;
      readonly language?: Language;
      readonly accountId?: AccountId;
      readonly emailVerified?: true;
    },
    event: AuditEvent,
  ): Promise<void>;
  /**
   * Closes an account for good: revokes its keys, deletes its person with passwords and sessions, and blanks names,
   * addresses and texts of its applications and appeals. The ledger keeps its figures under an anonymous id.
   * @throws Refusal if no operator would remain.
   */
  closeAccount(id: AccountId, at: WallMs, event: AuditEvent): Promise<void>;
  deletePerson(id: PersonId, event: AuditEvent): Promise<void>;
  /** Whether that person's session is still open. */
  sessionStands(session: string, person: PersonId, now: number): Promise<boolean>;
  /** Removes expired sessions, challenges and links; returns their number. */
  tidyPeople(now: WallMs): Promise<number>;
}
