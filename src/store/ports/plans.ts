// Plans, in numbered versions.
import type { AuditEvent } from '../../domain/audit.ts';
import type { Plan } from '../../domain/plan.ts';

export interface PlanStore {
  findPlan(name: string): Promise<Plan | undefined>;
  listPlans(): Promise<Plan[]>;
  /** Stores a new plan or the next version of one; false where another has stored that version meanwhile. */
  putPlan(plan: Plan, event: AuditEvent): Promise<boolean>;
  /** False where an account still has it. */
  deletePlan(name: string, event: AuditEvent): Promise<boolean>;
}
