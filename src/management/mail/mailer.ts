// What sends emails, and what an email is about. A gate without mail has a mailer that takes nothing; everything works without it
// through links that an operator hands on.
import type { Language } from '../../domain/person.ts';

export interface Email {
  readonly to: string;
  readonly language: Language | null;
  readonly about: EmailContent;
  /** The same for each sending of one email, so that a recipient who gets it twice can tell. */
  readonly id?: string;
}

export type EmailContent =
  | {
      readonly kind: 'confirm';
      readonly url: string;
      /** Who applied, as they call themselves, what for, and when. */
      readonly name: string;
      readonly purpose: string;
      readonly at: number;
      /** Stands on the page of this application and of no other. */
      readonly reference: string;
    }
  | { readonly kind: 'reset'; readonly url: string }
  | { readonly kind: 'known'; readonly url: string }
  | { readonly kind: 'approved' | 'rejected'; readonly url: string; readonly word: string | null }
  | { readonly kind: 'suspended'; readonly url: string; readonly reason: string; readonly endsAt: number | null }
  | { readonly kind: 'answered'; readonly url: string; readonly word: string; readonly lifted: boolean }
  | { readonly kind: 'expiring'; readonly url: string; readonly key: string; readonly endsAt: number };

/**
 * What became of an email: a server has taken it; it never can be sent; or it was not sent, and may be given anew.
 */
export type Delivery = 'sent' | 'refused' | 'unsent';

export interface Mailer {
  /** False: there is no mail, and what is sent is gone. */
  readonly delivers: boolean;
  /** May another email of that kind go to that mailbox now? */
  hasRoom(kind: EmailContent['kind'], to: string): boolean;
  /** Returns at once; an email that cannot be delivered is logged. `onEnd` hears once what became of it. */
  send(email: Email, onEnd?: (how: Delivery) => void): void;
  /** What was sent has left, or was given up; that long at most. */
  settle(withinMs: number): Promise<void>;
}

export const noMailer: Mailer = {
  delivers: false,
  hasRoom: () => true,
  send: (_letter, onEnd) => onEnd?.('refused'),
  settle: () => Promise.resolve(),
};
