// Sign-in: better-auth's client at the gate's own mount.
import { passkeyClient } from '@better-auth/passkey/client';
import { createAuthClient } from 'better-auth/client';
import { twoFactorClient } from 'better-auth/client/plugins';

export const auth = createAuthClient({
  baseURL: window.location.origin,
  basePath: '/portal/auth',
  plugins: [passkeyClient(), twoFactorClient()],
});
