// Model servers that are added, changed and removed while the gate runs.
import type { AuditEvent } from '../../domain/audit.ts';
import type { ServerId } from '../../domain/id.ts';
import type { ModelServer } from '../../domain/model-server.ts';

/** What another server has already; `gone`: it is not there, or somebody else has changed it meanwhile. */
export type NotStored = 'name' | 'address' | 'gone';

export interface ServerStore {
  /** By name. */
  listServers(): Promise<ModelServer[]>;
  findServer(id: ServerId): Promise<ModelServer | undefined>;
  findServerByName(name: string): Promise<ModelServer | undefined>;
  /** Stores a new server (version 1), or the next version of one. Undefined: it is stored. */
  putServer(server: ModelServer, event: AuditEvent): Promise<NotStored | undefined>;
  /** False where it is not there. */
  deleteServer(id: ServerId, event: AuditEvent): Promise<boolean>;
}
