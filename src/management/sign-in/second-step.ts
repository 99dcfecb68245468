// The second step of a signed-in person; what it protects asks for it again. Turning it off is not left to the library, which
// only asks for the password, so that an open session and a leaked password together would defeat the second step.
import { z } from 'zod';
import type { PersonId } from '../../domain/id.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault } from '../fault.ts';
import { Problem } from '../http/problem.ts';
import type { OwnRoute, OwnRouteAnswer, OwnRouteRequest } from './own-route.ts';
import { isPassword } from './passwords.ts';

/** Of an authenticator app, or a backup code. */
export const secondStepCode = z.string().max(100);

/**
 * Is that a code of this person's? It is used up as at a sign-in, and a wrong one counts as one there (RFC 6238 §5.2, NIST SP
 * 800-63B §3.2.2).
 */
export type CheckSecondStep = (person: PersonId, code: string, from: OwnRouteRequest['from']) => Promise<boolean>;

export const wrongPassword: OwnRouteAnswer = {
  status: 400,
  json: { code: 'INVALID_PASSWORD', message: 'Invalid password' },
};
export const wrongCode: OwnRouteAnswer = { status: 400, json: { code: 'INVALID_CODE', message: 'Invalid code' } };

export const endSecondStepBody = z.object({ password: z.string().max(1_024), code: secondStepCode });

export interface SecondStepTools {
  readonly store: Pick<Store, 'readPassword' | 'forgetSecondStep'>;
  readonly checkSecondStep: CheckSecondStep;
}

/** The session stays as old as it is. */
export const endSecondStepRoute =
  ({ store, checkSecondStep }: SecondStepTools): OwnRoute =>
  async ({ body, session, from }) => {
    const { password, code } = body as z.output<typeof endSecondStepBody>;
    if (!session) throw new Problem('unauthenticated');
    const { personId } = session;
    const hash = await store.readPassword(personId);
    if (hash === null || !(await isPassword(password, hash))) return wrongPassword;
    if (!(await checkSecondStep(personId, code.trim(), from))) return wrongCode;
    await store.forgetSecondStep(personId);
    return { json: { status: true } };
  };

export interface BackupCodeTools {
  readonly store: Pick<Store, 'findPerson'>;
  /** Backup codes in the place of those there were; null without a second step. */
  readonly renewBackupCodes: (person: PersonId) => Promise<readonly string[] | null>;
}

/** Creates new backup codes, shown only once. A recent sign-in has passed the second step, so no code is required. */
export const backupCodesRoute =
  ({ store, renewBackupCodes }: BackupCodeTools): OwnRoute =>
  async ({ session }) => {
    if (!session) throw new Problem('unauthenticated');
    if (!session.fresh) throw new Problem('sign_in_again');
    const { personId } = session;
    // While it is being set up, the codes are those that were shown then.
    const isOn = (await store.findPerson(personId))?.twoFactor === true;
    const backupCodes = isOn ? await renewBackupCodes(personId) : null;
    if (backupCodes === null) throw new Fault('second_step_off', {}, 'conflict');
    return { json: { backupCodes } };
  };
