// Model servers that are added, changed and removed at run time.
import type { AuditEvent } from '../../domain/audit.ts';
import type { ServerId } from '../../domain/id.ts';
import type { ModelServer } from '../../domain/model-server.ts';

/** The property that another server already has. `gone`: the server is missing, or was changed meanwhile. */
export type NotStored = 'name' | 'address' | 'gone';

export interface ServerStore {
  /** By name. */
  listServers(): Promise<ModelServer[]>;
  findServer(id: ServerId): Promise<ModelServer | undefined>;
  findServerByName(name: string): Promise<ModelServer | undefined>;
  /** Stores a new server (version 1), or the next version of one. Undefined: it is stored. */
  putServer(server: ModelServer, event: AuditEvent): Promise<NotStored | undefined>;
  /** False if there is no such server. */
  deleteServer(id: ServerId, event: AuditEvent): Promise<boolean>;
}
