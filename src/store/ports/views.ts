// Views of members' pages by operators.
import type { AuditEvent } from '../../domain/audit.ts';
import type { ViewId } from '../../domain/id.ts';
import type { View } from '../../domain/view.ts';

export interface ViewStore {
  insertView(view: View, event: AuditEvent): Promise<void>;
  findView(id: ViewId): Promise<View | undefined>;
  /** All that have not been ended, each with whether its session still exists. */
  listViews(): Promise<(View & { readonly hasSession: boolean })[]>;
  /** False if it was ended already: of two that end it, one writes the event. */
  endView(id: ViewId, event: AuditEvent): Promise<boolean>;
}
