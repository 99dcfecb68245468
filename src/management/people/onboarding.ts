// What the use cases that admit people have in common, and how they parse an address and a password.
import { normalEmail } from '../../domain/application.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault } from '../fault.ts';
import type { Mailer } from '../mail/mailer.ts';
import { passwordFault } from '../sign-in/passwords.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import type { LinkCodes } from './link-codes.ts';

export interface OnboardingContext {
  readonly store: Store;
  readonly signIn: SignIn;
  readonly mailer: Mailer;
  readonly codes: LinkCodes;
  /** Called when something was added to the outbox. */
  readonly wake: () => void;
  /** Address of the gate, for links. */
  readonly portal: URL;
}

/** @throws Fault. */
export function requireEmail(text: string): string {
  const email = normalEmail(text);
  if (email === undefined) throw new Fault('email_shape', {});
  return email;
}

/** @throws Fault. */
export function requirePassword(password: string, about: readonly string[]): void {
  const fault = passwordFault(password, about);
  if (fault !== undefined) throw new Refusal(fault);
}
