// Leases for work that only one gateway process does at a time.
import type { WallMs } from '../../domain/time.ts';

export interface LeaseStore {
  /** Takes or renews a lease, which expires by itself. False: another owner has it. */
  takeLease(name: string, owner: string, now: WallMs, until: WallMs): Promise<boolean>;
  giveLease(name: string, owner: string): Promise<void>;
}
