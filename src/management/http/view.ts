// Viewing the pages of a member: a header of a request names the view. Two rules hold for every request that carries it, whatever it
// asks for: it only reads, and only what is declared as shown in a view.
import type { Request, RequestHandler } from 'express';
import type { Account } from '../../domain/account.ts';
import type { ViewId } from '../../domain/id.ts';
import type { Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';
import { isOver, type View } from '../../domain/view.ts';
import type { Store } from '../../store/ports/store.ts';
import { Problem } from './problem.ts';

/** A page sends it with the id of the view. Only our own pages can: it is not among the headers that another site may send. */
const header = 'x-sekisho-view';

/** The view that a request names; undefined for every other request. */
export const viewIn = ({ headers }: Pick<Request, 'headers'>): string | undefined => {
  const value = headers[header];
  return value === undefined ? undefined : String(value);
};

const isReading = ({ method }: Pick<Request, 'method'>): boolean => method === 'GET' || method === 'HEAD';

/** Refuses every request in a view that is no plain read, before anything else is looked at. */
export const onlyReadInView: RequestHandler = (request, _response, next) => {
  if (viewIn(request) !== undefined && !isReading(request)) throw new Problem('read_only_view');
  next();
};

/** Refuses every request in a view. */
export const neverInView: RequestHandler = (request, _response, next) => {
  if (viewIn(request) !== undefined) throw new Problem('read_only_view');
  next();
};

/** Refuses a row that is not shown in a view. @throws Problem. */
export function refuseInView(request: Request, { inView }: { readonly inView: boolean }): void {
  if (viewIn(request) !== undefined && !(inView && isReading(request))) throw new Problem('read_only_view');
}

export interface Seen {
  readonly view: View;
  readonly account: Account;
  readonly person: Person;
}

/** May the pages of this account be viewed? Only those of members: nobody sees with the eyes of another operator. */
export const isViewable = ({ role, closedAt }: Account): boolean => role === 'member' && closedAt === null;

/** Who is looked at; undefined once the view, the operator's right to it, or the member is gone. */
export async function standingView(
  id: string,
  operator: { readonly session: string | undefined; readonly person: Person | undefined; readonly writes: boolean },
  store: Pick<Store, 'findView' | 'findAccount' | 'findPersonOf'>,
  now: WallMs,
): Promise<Seen | undefined> {
  const view = operator.writes ? await store.findView(id as ViewId) : undefined;
  if (!view || view.sessionId !== operator.session || view.operatorId !== operator.person?.id || isOver(view, now))
    return undefined;
  const account = await store.findAccount(view.accountId);
  const person = account && isViewable(account) ? await store.findPersonOf(account.id) : undefined;
  return account && person && { view, account, person };
}
