// People who sign in, and the end of an account. Their passwords and sessions are the sign-in library's.
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, PersonId } from '../../domain/id.ts';
import type { Language, Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';

/** People who sign in; passwords, sessions and the rest of it are the sign-in library's affair. */
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
   * Closes an account for good: keys revoked, its person gone with passwords and sessions, names, addresses and texts of
   * its applications and appeals blanked. The ledger keeps its figures under an id that is nobody's.
   * @throws Refusal where nobody could operate the gate afterwards.
   */
  closeAccount(id: AccountId, at: WallMs, event: AuditEvent): Promise<void>;
  deletePerson(id: PersonId, event: AuditEvent): Promise<void>;
  /** Is that session of that person still open? */
  sessionStands(session: string, person: PersonId, now: number): Promise<boolean>;
  /** Removes sessions, challenges and links that are over; gives how many there were. */
  tidyPeople(now: WallMs): Promise<number>;
}
