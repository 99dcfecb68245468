// What operators have changed of the settings at run time: the values that are stored, and each change, so that it can be taken back.
import type { SettingChangeId } from './id.ts';
import type { WallMs } from './time.ts';

/** A secret as it stands in the database. */
export interface SealedValue {
  readonly sealed: string;
}

/** As JSON. */
export type StoredValue = string | number | boolean | readonly string[] | SealedValue;

/** A group of settings; those that are not among the values have their default. */
export interface StoredSettings {
  readonly group: string;
  readonly values: Readonly<Record<string, StoredValue>>;
  readonly version: number;
  readonly createdAt: WallMs;
  readonly changedAt: WallMs;
}

export interface SettingChange {
  readonly id: SettingChangeId;
  readonly at: WallMs;
  readonly actor: string;
  /** `registration`, or a group of settings. */
  readonly group: string;
  /** What changed, by name; null: not stored. */
  readonly from: Readonly<Record<string, StoredValue | null>>;
  readonly to: Readonly<Record<string, StoredValue | null>>;
  /** The change that this one took back. */
  readonly undoes: SettingChangeId | null;
  /** The change that took this one back. */
  readonly undoneBy: SettingChangeId | null;
}

/** Older ones are forgotten; the audit log keeps what they said. */
export const keptSettingChanges = 500;

export const isSealed = (value: StoredValue | null): value is SealedValue =>
  typeof value === 'object' && value !== null && 'sealed' in value;
