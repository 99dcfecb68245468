// What operators say about model names: aliases and fallbacks.
import type { AuditEvent } from '../../domain/audit.ts';
import type { NameId } from '../../domain/id.ts';
import type { StoredName } from '../../domain/stored-name.ts';

/** `taken`: another one has the canonical name. `gone`: it is missing, or was changed meanwhile. */
export type NameNotStored = 'taken' | 'gone';

export interface NameStore {
  /** By canonical name. */
  listModelNames(): Promise<StoredName[]>;
  findModelName(id: NameId): Promise<StoredName | undefined>;
  findModelNameByCanonical(canonical: string): Promise<StoredName | undefined>;
  /** Stores a new name (version 1), or the next version of one. Undefined: it is stored. */
  putModelName(name: StoredName, event: AuditEvent): Promise<NameNotStored | undefined>;
  /** False if there is no such name. */
  deleteModelName(id: NameId, event: AuditEvent): Promise<boolean>;
}
