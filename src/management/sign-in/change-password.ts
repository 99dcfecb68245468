// Another password for somebody who knows the one they have. Ours and not the library's, which writes the new one whatever became of
// the old one meanwhile: somebody who was just shut out by a new password could set theirs again.
import { z } from 'zod';
import type { Store } from '../../store/ports.ts';
import { Problem } from '../api/problem.ts';
import type { Answered, OpenVisit, OwnRoute } from './own-route.ts';
import { hashPassword, isPassword } from './passwords.ts';

const text = z.string().max(1_024);
export const changePasswordBody = z.object({
  currentPassword: text,
  newPassword: text,
  keepPasskeys: z.boolean().optional(),
});

export interface ChangePasswordTools {
  readonly store: Pick<Store, 'readPassword' | 'renewPassword'>;
  readonly openVisit: OpenVisit;
}

const wrong: Answered = { status: 400, json: { code: 'INVALID_PASSWORD', message: 'Invalid password' } };

/**
 * Every other visit ends, and passkeys go unless they are kept: somebody who had this visit for ten minutes may have left one
 * behind. The door has looked at the words of the new password.
 */
export const changePasswordRoute =
  ({ store, openVisit }: ChangePasswordTools): OwnRoute =>
  async ({ body, visit, from }) => {
    const { currentPassword, newPassword, keepPasskeys = false } = body as z.output<typeof changePasswordBody>;
    if (!visit) throw new Problem('unauthenticated');
    const { personId } = visit;
    const old = await store.readPassword(personId);
    if (old === null || !(await isPassword(currentPassword, old))) return wrong;
    const hash = await hashPassword(newPassword);
    if (!(await store.renewPassword({ personId, hash, from: old, keepPasskeys }))) return wrong;
    const still = async (): Promise<boolean> => (await store.readPassword(personId)) === hash;
    return { json: { status: true }, cookies: await openVisit(personId, from, still) };
  };
