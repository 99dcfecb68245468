// Plans, in numbered versions.
import type { AuditEvent } from '../../domain/audit.ts';
import type { Plan } from '../../domain/plan.ts';

export interface PlanStore {
  findPlan(name: string): Promise<Plan | undefined>;
  listPlans(): Promise<Plan[]>;
  /** Stores a new plan or the next version of one; false if that version was stored meanwhile. */
  putPlan(plan: Plan, event: AuditEvent): Promise<boolean>;
  /** False if an account still has the plan. */
  deletePlan(name: string, event: AuditEvent): Promise<boolean>;
}
