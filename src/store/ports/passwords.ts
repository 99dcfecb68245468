// What the store does when a password is made new. Each is one transaction, so that nothing the old password opened is left over.
import type { PersonId } from '../../domain/id.ts';

export interface NewPassword {
  readonly personId: PersonId;
  readonly hash: string;
  /** The hash that it takes the place of; undefined: whatever there was. */
  readonly from?: string;
  readonly keepPasskeys: boolean;
}

export interface PasswordStore {
  /** The hash of somebody's password; null where they have none. It changes with every new password. */
  readPassword(personId: PersonId): Promise<string | null>;
  /**
   * Sets a password and ends what the old one opened: sessions, sign-ins that wait for their second step, and passkeys unless they
   * are kept. False, and nothing is done, where the old one is not `from`.
   */
  renewPassword(password: NewPassword): Promise<boolean>;
  /** The second step is gone. */
  forgetSecondStep(personId: PersonId): Promise<void>;
}
