// Accounts: their names, roles and plans. Closing one is in people.ts, since its person goes with it.
import type { Account, Role } from '../../domain/account.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId } from '../../domain/id.ts';
import type { Unlimited } from '../../domain/plan.ts';
import type { Page } from './page.ts';

export interface AccountStore {
  /**
   * The account of that name, made with that plan and role if it is not there; then its event is filed under the new id.
   * Safe against two makers at once. @throws Refusal as `changeAccount`, and for a name that looks like another's.
   */
  ensureAccount(name: string, plan: string | Unlimited, event: AuditEvent, role?: Role): Promise<Account>;
  /** Does an open account have a name that people would take for this one, or this one? */
  looksTaken(name: string): Promise<boolean>;
  /** By id where the text has the shape of one, else by name. */
  findAccount(idOrName: string): Promise<Account | undefined>;
  listAccounts(): Promise<Account[]>;
  pageAccounts(page: Page & { readonly search?: string; readonly role?: Role }): Promise<Account[]>;
  /** How many people have an account of that role. */
  countAccounts(role: Role): Promise<number>;
  /**
   * Gives an open account another role, another plan, or both at once. Another role takes from its keys what the role
   * does not allow, and ends the sessions of its person and the links that nobody has used.
   * @throws Refusal where it is not there or closed, where anybody but an operator would be without limits, and where
   * nobody could operate the gate afterwards.
   */
  changeAccount(
    id: AccountId,
    change: { readonly role?: Role; readonly plan?: string | Unlimited },
    event: AuditEvent,
  ): Promise<Account>;
}
