// Changes the password of a person who knows the current one. The library's own route writes the new password even if the old
// one was changed in the meantime, so someone who was just locked out by a new password could set theirs again.
import { z } from 'zod';
import type { Store } from '../../store/ports/store.ts';
import { Problem } from '../http/problem.ts';
import type { OpenSession, OwnRoute } from './own-route.ts';
import { hashPassword, isPassword } from './passwords.ts';
import { type CheckSecondStep, secondStepCode, wrongCode, wrongPassword } from './second-step.ts';

const text = z.string().max(1_024);
export const changePasswordBody = z.object({
  currentPassword: text,
  newPassword: text,
  keepPasskeys: z.boolean().optional(),
  /** For people with a second step. */
  code: secondStepCode.optional(),
});

export interface ChangePasswordTools {
  readonly store: Pick<Store, 'findPerson' | 'readPassword' | 'renewPassword'>;
  readonly checkSecondStep: CheckSecondStep;
  readonly openSession: OpenSession;
}

/**
 * Ends every other session, and removes passkeys unless they are kept, because someone who had this session for ten minutes may
 * have added one. The new session is a fresh one, so it requires what a sign-in requires, including the second step. The route
 * has already checked the new password.
 */
export const changePasswordRoute =
  ({ store, checkSecondStep, openSession }: ChangePasswordTools): OwnRoute =>
  async ({ body, session, from }) => {
    const {
      currentPassword,
      newPassword,
      keepPasskeys = false,
      code = '',
    } = body as z.output<typeof changePasswordBody>;
    if (!session) throw new Problem('unauthenticated');
    const { personId } = session;
    const old = await store.readPassword(personId);
    if (old === null || !(await isPassword(currentPassword, old))) return wrongPassword;
    const person = await store.findPerson(personId);
    if (person?.twoFactor !== false && !(await checkSecondStep(personId, code.trim(), from))) return wrongCode;
    const hash = await hashPassword(newPassword);
    if (!(await store.renewPassword({ personId, hash, from: old, keepPasskeys }))) return wrongPassword;
    const still = async (): Promise<boolean> => (await store.readPassword(personId)) === hash;
    return { json: { status: true }, cookies: await openSession(personId, from, still) };
  };
