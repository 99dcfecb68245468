// The rules of the ladder.
import type { AuditEvent } from '../../domain/audit.ts';
import type { Rule } from '../../domain/rule.ts';

export interface RuleStore {
  listRules(): Promise<Rule[]>;
  putRule(rule: Rule, event: AuditEvent): Promise<void>;
  deleteRule(name: string, event: AuditEvent): Promise<boolean>;
}
