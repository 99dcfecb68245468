// Leases for work that only one gate does at a time. A lease ends by itself, in the time of the database, so no gate's clock matters. Its
// epoch grows each time that it is taken: a gate that was frozen and has lost its lease cannot write any more what belongs to it.
/** A lease as one gate has it. */
export interface HeldLease {
  readonly name: string;
  readonly owner: string;
  readonly epoch: number;
}

/** The lease is another's, or is over. Nothing was written. */
export class LeaseLost extends Error {
  override name = 'LeaseLost';

  constructor(lease: string) {
    super(`the lease "${lease}" is no longer held`);
  }
}

export interface LeaseStore {
  /** Takes a lease that nobody has, or that the same owner had; undefined: another has it. */
  takeLease(name: string, owner: string, lifeMs: number): Promise<HeldLease | undefined>;
  /** False: it is no longer held. */
  renewLease(lease: HeldLease, lifeMs: number): Promise<boolean>;
  giveLease(lease: HeldLease): Promise<void>;
}
