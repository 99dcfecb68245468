// A person or a service that owns keys. Limits and suspensions are the account's; its keys share them.
import type { AccountId } from './id.ts';

export interface Account {
  readonly id: AccountId;
  readonly name: string;
  /** Name of its plan; null is the operator's own, which has no limits and meets no rule. */
  readonly plan: string | null;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** The account of whoever runs the gate: of the static keys, and of keys made without a word about an account. */
export const operatorName = 'operator';

/** What an account gets that is made without a word about its plan. */
export const planOfNewAccount = (name: string): string | null => (name === operatorName ? null : 'default');
