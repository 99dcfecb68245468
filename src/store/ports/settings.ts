// The settings that operators have changed at run time, and the changes.
import type { AuditEvent } from '../../domain/audit.ts';
import type { SettingChangeId } from '../../domain/id.ts';
import type { SettingChange, StoredSettings } from '../../domain/setting-change.ts';

export interface SettingStore {
  listSettings(): Promise<StoredSettings[]>;
  findSettings(group: string): Promise<StoredSettings | undefined>;
  /**
   * Stores the first version of a group, or the next one, with the change that led to it. `gone`: the group was changed meanwhile, and
   * nothing is stored.
   */
  putSettings(settings: StoredSettings, change: SettingChange, event: AuditEvent): Promise<'gone' | undefined>;
  /** Stores the same values sealed anew, here and in the changes. */
  resealSettings(
    settings: readonly StoredSettings[],
    changes: readonly SettingChange[],
    event: AuditEvent,
  ): Promise<void>;
  /** Newest first. */
  listSettingChanges(asked: { readonly before?: string; readonly limit: number }): Promise<SettingChange[]>;
  findSettingChange(id: SettingChangeId): Promise<SettingChange | undefined>;
}
