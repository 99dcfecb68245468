// What can be done with several accounts at once; each of these is for one of them, in the transaction of its caller.
import type { Author } from '../../domain/audit.ts';
import { inForce } from '../../domain/suspension.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault } from '../fault.ts';
import { lift, suspend } from '../suspensions/suspensions.ts';
import { requireAccount } from './accounts.ts';

/** Suspends an account until it is restored. @throws Fault if it is suspended already. */
export async function suspendAccount(
  store: Store,
  id: string,
  reason: string,
  endsAt: number | null,
  author: Author,
): Promise<void> {
  const account = await requireAccount(store, id);
  if (account.closedAt !== null) throw new Fault('account_closed', {}, 'conflict');
  const owner = await store.findOwner(account.id, author.at);
  const isSuspended = owner?.suspensions.some(
    (each) => each.step === 'suspend' && each.keyId === null && inForce(each, author.at),
  );
  if (isSuspended === true) throw new Fault('account_suspended', { account: account.name }, 'conflict');
  await suspend(store, { whom: account.id, step: 'suspend', reason, endsAt }, author);
}

/** Lifts every step that is in force against an account or one of its keys. @throws Fault if there is none. */
export async function restoreAccount(store: Store, id: string, author: Author): Promise<void> {
  const account = await requireAccount(store, id);
  const owner = await store.findOwner(account.id, author.at);
  const steps = owner?.suspensions.filter((each) => inForce(each, author.at)) ?? [];
  if (steps.length === 0) throw new Fault('account_unrestricted', { account: account.name }, 'conflict');
  for (const step of steps) await lift(store, step.id, author);
}
