// Passwords for tests that run a gate in their own process: scrypt at a hundredth of its cost, because hundreds of people
// sign in there, and a way to pause it while many passwords are being checked. A gate in its own process, and the test of
// the cost itself (src/management/sign-in/passwords.test.ts), use the real one.
import crypto, { type BinaryLike, type ScryptOptions } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const real = crypto.scrypt;
let held: (() => void)[] | undefined;

function quick(
  password: BinaryLike,
  salt: BinaryLike,
  length: number,
  options: ScryptOptions,
  done: (error: Error | null, key: Buffer<ArrayBuffer>) => void,
): void {
  const derive = (): void => real(password, salt, length, { ...options, N: 2 ** 8 }, done);
  if (held) held.push(derive);
  else derive();
}
// The gate always passes the cost.
crypto.scrypt = quick as typeof crypto.scrypt;
syncBuiltinESMExports();

/** From now on no password is hashed or checked until the returned function is called. */
export function holdPasswords(): () => void {
  const mine: (() => void)[] = [];
  held = mine;
  return () => {
    held = undefined;
    for (const derive of mine) derive();
  };
}
