// Sign-in: better-auth's client for the library's routes, and the gateway's own routes.
import { startAuthentication, startRegistration } from '@simplewebauthn/browser';
import { createAuthClient } from 'better-auth/client';
import { twoFactorClient } from 'better-auth/client/plugins';
import { Problem } from './api.ts';
import { signInAgain } from './shell/again.ts';
import { takeAnew } from './shell/anew.ts';
import { i18n } from './words.ts';

const mount = '/portal/auth';

export const auth = createAuthClient({
  baseURL: window.location.origin,
  basePath: mount,
  plugins: [twoFactorClient()],
});

/** @throws Problem. */
async function ask<T>(path: string, body?: unknown, again = false): Promise<T> {
  const response = await fetch(mount + path, {
    method: body === undefined ? 'GET' : 'POST',
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      'accept-language': i18n.language,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.ok) return (await response.json().catch(() => ({}))) as T;
  const problem = await Problem.of(response);
  if (problem.code !== 'sign_in_again') throw problem;
  if (again || !(await signInAgain('stale'))) throw problem;
  return ask<T>(path, body, true);
}

export interface NewPassword {
  readonly currentPassword: string;
  readonly newPassword: string;
  readonly keepPasskeys: boolean;
  /** For people with a second step. */
  readonly code?: string;
}

/** Ends every other session. @throws Problem. */
export const changePassword = (change: NewPassword): Promise<unknown> => ask('/change-password', change);

/** Turns the second step off; `code` is a current code of it. @throws Problem. */
export const endSecondStep = (proof: { readonly password: string; readonly code: string }): Promise<unknown> =>
  ask('/two-factor/disable', proof);

/** Backup codes in the place of those there were, which open nothing any more. @throws Problem. */
export const renewBackupCodes = async (): Promise<readonly string[]> =>
  (await ask<{ backupCodes: readonly string[] }>('/two-factor/generate-backup-codes', {})).backupCodes;

/** Where somebody is signed in. */
export interface Visit {
  readonly id: string;
  /** This browser. */
  readonly here: boolean;
  readonly address: string;
  readonly userAgent: string;
  readonly createdAt: string;
  readonly activeAt: string;
}

export const visits = {
  list: () => ask<readonly Visit[]>('/list-sessions'),
  end: (id: string) => ask('/revoke-session', { id }),
  endOthers: () => ask('/revoke-other-sessions', {}),
} as const;

/** Redirects to the provider. @throws Problem. */
export async function signInAt(provider: string, next: string): Promise<void> {
  const { url } = await ask<{ url: string }>('/sign-in/provider', { provider, next, anew: takeAnew() });
  window.location.assign(url);
}

/** Removes what pages keep in this tab, such as the chat of the playground. */
function forgetTab(): void {
  try {
    sessionStorage.clear();
  } catch {
    // Storage is forbidden, so nothing was kept either.
  }
}

/** Ends the session; true if the browser is redirected to sign out at the provider, too. @throws Problem. */
export async function signOut(): Promise<boolean> {
  const { url } = await ask<{ url?: string }>('/sign-out', {});
  forgetTab();
  if (url !== undefined) window.location.assign(url);
  return url !== undefined;
}

export interface Passkey {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
}

type Registration = Parameters<typeof startRegistration>[0]['optionsJSON'];
type Authentication = Parameters<typeof startAuthentication>[0]['optionsJSON'];

export const passkeys = {
  list: () => ask<readonly Passkey[]>('/passkey/list-user-passkeys'),
  async add(name: string): Promise<void> {
    const optionsJSON = await ask<Registration>('/passkey/generate-register-options');
    const response = await startRegistration({ optionsJSON });
    await ask('/passkey/verify-registration', { name, response });
  },
  async signIn(): Promise<void> {
    const optionsJSON = await ask<Authentication>('/passkey/generate-authenticate-options');
    const response = await startAuthentication({ optionsJSON });
    await ask('/passkey/verify-authentication', { response });
  },
  rename: (id: string, name: string) => ask('/passkey/update-passkey', { id, name }),
  remove: (id: string) => ask('/passkey/delete-passkey', { id }),
} as const;
