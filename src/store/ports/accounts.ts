// Accounts: their names, roles and plans. Closing one is in people.ts, since it deletes the person.
import type { Account, Role } from '../../domain/account.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId } from '../../domain/id.ts';
import type { Unlimited } from '../../domain/plan.ts';
import type { Page } from './page.ts';

export interface AccountStore {
  /**
   * Returns the account of that name, creating it with that plan and role if needed; its event is then filed under the
   * new id. Safe for concurrent callers. @throws Refusal as `changeAccount`, and for a name that looks like another
   * account's.
   */
  ensureAccount(name: string, plan: string | Unlimited, event: AuditEvent, role?: Role): Promise<Account>;
  /** Whether an open account has this name, or one that looks like it. */
  looksTaken(name: string): Promise<boolean>;
  /** By id if the text has the form of one, otherwise by name. */
  findAccount(idOrName: string): Promise<Account | undefined>;
  listAccounts(): Promise<Account[]>;
  pageAccounts(page: Page & { readonly search?: string; readonly role?: Role }): Promise<Account[]>;
  /** How many accounts with that role have a person. */
  countAccounts(role: Role): Promise<number>;
  /**
   * Gives an open account another role, another plan, or both at once. A new role removes from its keys what it does
   * not allow, and ends the person's sessions and unused links.
   * @throws Refusal if the account is missing or closed, if an account other than an operator's would have no limits,
   * or if no operator would remain.
   */
  changeAccount(
    id: AccountId,
    change: { readonly role?: Role; readonly plan?: string | Unlimited },
    event: AuditEvent,
  ): Promise<Account>;
}
