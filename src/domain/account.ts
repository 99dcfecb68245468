// An account: a person or a service that owns keys. Limits and suspensions belong to the account; its keys share them.
import type { AccountId } from './id.ts';
import { type Unlimited, unlimited } from './plan.ts';

/** What people of the account may do with the data of every account: change it, read it, or neither. */
export const roles = ['operator', 'auditor', 'member'] as const;
export type Role = (typeof roles)[number];

export interface Account {
  readonly id: AccountId;
  readonly name: string;
  /** The name of its plan, or `unlimited` (no limits, no rules), which only operators have. */
  readonly plan: string | Unlimited;
  readonly role: Role;
  /** Unix milliseconds; an account is never reopened. */
  readonly closedAt: number | null;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** The operator's own account: it owns the static keys, and keys that are created without naming an account. */
export const operatorName = 'operator';

/** The plan of an account that is created without naming one. */
export const planOfNewAccount = (name: string, role: Role = roleOfNewAccount(name)): string | Unlimited =>
  role === 'operator' ? unlimited : 'default';

/** The role of a new account. */
export const roleOfNewAccount = (name: string): Role => (name === operatorName ? 'operator' : 'member');

/** Returns which management scopes an account of that role can use, regardless of its keys. */
export function mayManage(role: Role, needs: 'management:read' | 'management:write'): boolean {
  switch (role) {
    case 'operator':
      return true;
    case 'auditor':
      return needs === 'management:read';
    case 'member':
      return false;
  }
}
