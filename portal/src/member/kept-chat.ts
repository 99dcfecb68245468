// The chat of the playground, kept for this tab: a reload, a sign-in or a look at another page does not lose it. It never leaves the
// browser, and ends with the tab or the sign-out.
import type { Figures, Message } from './chat.ts';

export interface Turn extends Message {
  readonly figures?: Figures;
}

export interface KeptChat {
  /** Whose it is: somebody else who signs in here sees nothing of it. */
  readonly owner: string;
  readonly model: string | null;
  readonly system: string;
  readonly temperature: number | string;
  readonly text: string;
  readonly turns: readonly Turn[];
}

const name = 'sekisho-playground';

export function keptChat(owner: string): KeptChat {
  const none: KeptChat = { owner, model: null, system: '', temperature: 0.8, text: '', turns: [] };
  try {
    const kept = JSON.parse(sessionStorage.getItem(name) ?? 'null') as KeptChat | null;
    return kept?.owner === owner ? { ...none, ...kept } : none;
  } catch {
    return none;
  }
}

export function keepChat(chat: KeptChat): void {
  try {
    // An answer that has not begun is not worth keeping.
    const turns = chat.turns.filter(({ content }) => content !== '');
    sessionStorage.setItem(name, JSON.stringify({ ...chat, turns }));
  } catch {
    // Full or forbidden: then it holds until the page is left.
  }
}
