// Refuses new calls while the gate is under maintenance. Takes a caller who may use the operation, so that the refusal is in
// their ledger and strangers still get a 401, and comes before the body is read. Calls that have passed are not asked again:
// those that wait or run finish.
import { GatewayError } from '../domain/error.ts';
import { type Maintenance, maintenanceAt } from '../domain/maintenance.ts';
import type { WallMs } from '../domain/time.ts';
import type { Permitted } from './check-access.ts';

declare class Mark {
  protected readonly welcome: true;
}
/** Proof that the gate takes calls. */
export interface Welcome extends Permitted, Mark {}

export interface MaintenanceSwitch {
  /** What the store says; it may have ended by itself. */
  readonly maintenance: Maintenance | null;
}

/** @throws GatewayError `maintenance`. */
export function refuseMaintenance(permitted: Permitted, { maintenance }: MaintenanceSwitch, at: WallMs): Welcome {
  if (maintenance !== null) refuseWhile(maintenance, at);
  return permitted as Welcome;
}

function refuseWhile(maintenance: Maintenance, at: WallMs): void {
  const now = maintenanceAt(maintenance, at);
  if (!now) return;
  throw new GatewayError('maintenance', {
    ...(now.message === null ? {} : { message: now.message }),
    ...(now.until === null ? {} : { retryAfterSeconds: Math.max(1, Math.ceil((now.until - at) / 1000)) }),
  });
}
