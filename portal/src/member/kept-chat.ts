// Keeps the chat of the playground for this tab, so that reloads, sign-ins and other pages do not lose it. It never leaves the
// browser, and is removed when the tab is closed or the person signs out.
import type { Figures, Message } from './chat.ts';

export interface Turn extends Message {
  readonly figures?: Figures;
}

export interface KeptChat {
  /** Its person; another person who signs in here cannot see it. */
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
    // An answer without text is not kept.
    const turns = chat.turns.filter(({ content }) => content !== '');
    sessionStorage.setItem(name, JSON.stringify({ ...chat, turns }));
  } catch {
    // Storage is full or forbidden: it lasts until the page is left.
  }
}
