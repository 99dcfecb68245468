// Setting passwords. Each is one transaction, so that nothing opened with the old password remains.
import type { PersonId } from '../../domain/id.ts';

export interface NewPassword {
  readonly personId: PersonId;
  readonly hash: string;
  /** The hash to replace; undefined: any. */
  readonly from?: string;
  readonly keepPasskeys: boolean;
}

export interface PasswordStore {
  /** The hash of a person's password; null if they have none. It changes with every new password. */
  readPassword(personId: PersonId): Promise<string | null>;
  /**
   * Sets a password and ends what the old one opened: sessions, sign-ins that wait for their second step, and passkeys
   * unless they are kept. False, without a change, if the old hash is not `from`.
   */
  renewPassword(password: NewPassword): Promise<boolean>;
  /** Removes the second factor. */
  forgetSecondStep(personId: PersonId): Promise<void>;
}
