// Work that one gate does at a time, whichever of several takes it.
import type { WallMs } from '../../domain/time.ts';

export interface LeaseStore {
  /** One owner at a time, who may take it again; over by itself. False: it is somebody else's. */
  takeLease(name: string, owner: string, now: WallMs, until: WallMs): Promise<boolean>;
  giveLease(name: string, owner: string): Promise<void>;
}
