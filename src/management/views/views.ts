// Begins and ends views of a member's pages by an operator; jobs/timed-ends.ts ends those whose time or session is over.
import type { z } from 'zod';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { newViewId } from '../../domain/id.ts';
import { iso } from '../../domain/time.ts';
import { isOver, type View, viewMs } from '../../domain/view.ts';
import type { Store } from '../../store/ports/store.ts';
import { requireAccount } from '../accounts/accounts.ts';
import { Fault } from '../fault.ts';
import { type Caller, ownPerson } from '../http/authenticate.ts';
import { Problem } from '../http/problem.ts';
import { isViewable } from '../http/view.ts';
import type { viewSchema } from './schemas.ts';

type Shown = z.output<typeof viewSchema>;

/** @throws Fault, Problem `forbidden` for a key: a view belongs to a session. */
export async function beginView(store: Store, idOrName: string, operator: Caller, author: Author): Promise<Shown> {
  const { id: operatorId } = ownPerson(operator);
  if (operator.session === undefined) throw new Problem('forbidden');
  const account = await requireAccount(store, idOrName);
  if (!isViewable(account)) throw new Fault('view_of_member', {}, 'conflict');
  if (!(await store.findPersonOf(account.id))) throw new Fault('view_of_nobody', {}, 'conflict');
  const view: View = {
    id: newViewId(),
    sessionId: operator.session,
    operatorId,
    accountId: account.id,
    startedAt: author.at,
  };
  const endsAt = iso(author.at + viewMs);
  await store.insertView(view, auditEvent(author, 'account.view-begun', account.id, null, { endsAt }));
  return showView(store, view);
}

/** The caller's own view. @throws Problem `not_found`. */
export async function requireView(store: Pick<Store, 'findView'>, id: string, { session }: Caller): Promise<View> {
  const view = await store.findView(id as View['id']);
  if (!view || view.sessionId !== session) throw new Problem('not_found');
  return view;
}

export async function endView(store: Store, view: View, author: Author): Promise<void> {
  const because = isOver(view, author.at) ? 'time' : 'left';
  await store.endView(view.id, auditEvent(author, 'account.view-ended', view.accountId, null, { because }));
}

export async function showView(store: Pick<Store, 'findAccount'>, { id, accountId, startedAt }: View): Promise<Shown> {
  const account = await store.findAccount(accountId);
  return {
    id,
    account: accountId,
    accountName: account?.name ?? '',
    startedAt: iso(startedAt),
    endsAt: iso(startedAt + viewMs),
  };
}
