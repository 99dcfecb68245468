// A person or a service that owns keys. Limits and suspensions are the account's; its keys share them.
import type { AccountId } from './id.ts';
import { type Unlimited, unlimited } from './plan.ts';

/** What a person of the account may do with everybody's things: change them, see them, or neither. */
export const roles = ['operator', 'auditor', 'member'] as const;
export type Role = (typeof roles)[number];

export interface Account {
  readonly id: AccountId;
  readonly name: string;
  /** Name of its plan, or no limits and no rules at all, which is for operators alone. */
  readonly plan: string | Unlimited;
  readonly role: Role;
  /** When it was closed for good; Unix milliseconds. */
  readonly closedAt: number | null;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** The account of whoever runs the gate: of the static keys, and of keys made without a word about an account. */
export const operatorName = 'operator';

/** What an account gets that is made without a word about its plan. */
export const planOfNewAccount = (name: string, role: Role = roleOfNewAccount(name)): string | Unlimited =>
  role === 'operator' ? unlimited : 'default';

/** The role with which an account begins. */
export const roleOfNewAccount = (name: string): Role => (name === operatorName ? 'operator' : 'member');

/** Which management scopes an account of that role can use at all, whatever its keys say. */
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
