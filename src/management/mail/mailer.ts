// The interface of a mailer, and the contents of emails. Without a mail server it sends nothing; operators then pass on links
// themselves.
import type { Language } from '../../domain/person.ts';

export interface Email {
  readonly to: string;
  readonly language: Language | null;
  readonly about: EmailContent;
  /** The same for every attempt to send one email, so that a duplicate can be recognized. */
  readonly id?: string;
}

export type EmailContent =
  | {
      readonly kind: 'confirm';
      readonly url: string;
      /** The name and purpose that the applicant gave, and the time. */
      readonly name: string;
      readonly purpose: string;
      readonly at: number;
      /** Unique to this application, and shown on its page. */
      readonly reference: string;
    }
  | { readonly kind: 'reset'; readonly url: string }
  | { readonly kind: 'known'; readonly url: string }
  | { readonly kind: 'approved' | 'rejected'; readonly url: string; readonly word: string | null }
  | { readonly kind: 'suspended'; readonly url: string; readonly reason: string; readonly endsAt: number | null }
  | { readonly kind: 'answered'; readonly url: string; readonly word: string; readonly lifted: boolean }
  | { readonly kind: 'expiring'; readonly url: string; readonly key: string; readonly endsAt: number }
  /** An operator tries the mail server out. */
  | { readonly kind: 'test' };

/**
 * The result for an email: a server has accepted it; it can never be sent; or it was not sent and may be retried.
 */
export type Delivery = 'sent' | 'refused' | 'unsent';

export interface Mailer {
  /** False: there is no mail server now, and emails are discarded. */
  readonly delivers: boolean;
  /** Returns immediately; an email that cannot be delivered is logged. `onEnd` is called once with the result. */
  send(email: Email, onEnd?: (how: Delivery) => void): void;
  /** Resolves when all emails were sent or abandoned, at the latest after this time. */
  settle(withinMs: number): Promise<void>;
  /** The settings of mail have changed: what waits for another try is tried now. */
  renew(): void;
}
