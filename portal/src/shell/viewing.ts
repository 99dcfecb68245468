// The view of a member's pages that this tab is in. It is kept for the tab alone and named in a header of every request, so that
// the gate answers as it would answer the member, and refuses everything else.

const place = 'sekisho-view';
const over = 'sekisho-view-over';

export interface Viewing {
  readonly id: string;
  /** The member's account, to which leaving leads back. */
  readonly account: string;
}

function read(name: string): string | null {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

export function viewing(): Viewing | undefined {
  try {
    return (JSON.parse(read(place) ?? 'null') as Viewing | null) ?? undefined;
  } catch {
    return undefined;
  }
}

export function viewHeaders(): Record<string, string> {
  const view = viewing();
  return view ? { 'x-sekisho-view': view.id } : {};
}

/** Loads the pages anew, so that nothing of the operator's own is left in them. */
export function enterView({ id, account }: Viewing): void {
  sessionStorage.setItem(place, JSON.stringify({ id, account }));
  window.location.assign('/portal/home');
}

/** Back to the operator's own pages; `ended` where nobody asked for it. */
export function leaveView(ended = false): void {
  const view = viewing();
  sessionStorage.removeItem(place);
  if (ended) sessionStorage.setItem(over, '1');
  window.location.assign(view ? `/portal/operate/accounts/${view.account}` : '/portal/');
}

/** True once after a view has ended by itself. */
export function viewHasEnded(): boolean {
  if (read(over) === null) return false;
  sessionStorage.removeItem(over);
  return true;
}
