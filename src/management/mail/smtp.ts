// The mailer over SMTP, by nodemailer: a few emails at a time, tried again while a later try can help, with a bound on what waits
// and on what one mailbox gets in an hour, since anybody can make this gate write to any address by applying with it.
import { createHash } from 'node:crypto';
import { createTransport } from 'nodemailer';
import { mailboxOf } from '../../domain/mailbox.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import { type Delivery, type Email, type EmailContent, type Mailer } from './mailer.ts';
import { render } from './render.ts';

export interface MailSettings {
  /** smtp:// or smtps://, with user and password where they are needed, percent-encoded. */
  readonly smtpUrl: string;
  readonly from: string;
  /** What the gate calls itself in emails. */
  readonly gate: string;
  readonly nowMs: () => MonotonicMs;
  readonly onError: (cause: unknown) => void;
}

const maxWaiting = 1_000;
const atOnce = 4;
const hourMs = 3_600_000;
/** Before the second try and so on. An email that waits for its next try keeps no place that another could use. */
const pausesMs = [1_000, 5_000, 60_000, 600_000];
/** nodemailer would wait 2 minutes for a connection and 10 for an answer. */
const patience = { connectionTimeout: 10_000, greetingTimeout: 10_000, dnsTimeout: 10_000, socketTimeout: 30_000 };

/**
 * Emails that one mailbox gets in an hour, by what they are about. Strangers can order confirmations; those never use up what the
 * gate itself has to say.
 */
const maxAnHour = { confirm: 10, reset: 10, own: 30 } as const;
type Budget = keyof typeof maxAnHour;

const budgetOf = (kind: EmailContent['kind']): Budget =>
  kind === 'confirm' || kind === 'known' ? 'confirm' : kind === 'reset' ? 'reset' : 'own';

interface Sending {
  readonly email: Email;
  readonly onEnd: (how: Delivery) => void;
}

export function openSmtpMailer({ smtpUrl, from, gate, nowMs, onError }: MailSettings): Mailer {
  const transport = createTransport({ url: smtpUrl, ...patience, socketCloseTimeout: 0 }, { from });
  const sent = new Map<string, { count: number; sinceMs: MonotonicMs }>();
  /** Emails whose turn has come, those on their way, and those that wait for their next try. */
  const ready: { readonly sending: Sending; readonly round: number }[] = [];
  const later = new Map<NodeJS.Timeout, Sending>();
  let running = 0;
  let stopped = false;
  const stop = new AbortController();
  let idle = (): void => undefined;

  const domain = /@([^\s@>]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';
  /** RFC 5322, section 3.6.4: the same for a message that is sent again. The id of a row may say whom it is about. */
  const messageId = (id: string): string => `<${createHash('sha256').update(id).digest('hex').slice(0, 32)}@${domain}>`;
  const keyOf = (kind: EmailContent['kind'], to: string): string => `${budgetOf(kind)} ${mailboxOf(to)}`;
  const hasRoom: Mailer['hasRoom'] = (kind, to) => {
    for (const [key, { sinceMs }] of sent) if (nowMs() - sinceMs > hourMs) sent.delete(key);
    return (sent.get(keyOf(kind, to))?.count ?? 0) < maxAnHour[budgetOf(kind)];
  };
  const more = (): void => {
    while (running < atOnce && !stop.signal.aborted) {
      const next = ready.shift();
      if (!next) break;
      running++;
      void deliver(next.sending, next.round).finally(() => {
        running--;
        more();
      });
    }
    if (running === 0 && (ready.length === 0 || stop.signal.aborted)) idle();
  };
  const deliver = async (sending: Sending, round: number): Promise<void> => {
    const { email, onEnd } = sending;
    const { subject, text } = render(email, gate);
    const headers = {
      'Auto-Submitted': 'auto-generated',
      ...(email.id === undefined ? {} : { 'Message-ID': messageId(email.id) }),
    };
    try {
      await transport.sendMail({ to: email.to, subject, text, headers, signal: stop.signal });
      onEnd('sent');
    } catch (error) {
      const pause = pausesMs[round];
      if (pause === undefined || stopped || isFinal(error)) {
        onError(error);
        onEnd(isFinal(error) ? 'refused' : 'unsent');
      } else {
        const timer = setTimeout(() => {
          later.delete(timer);
          ready.push({ sending, round: round + 1 });
          more();
        }, pause);
        later.set(timer.unref(), sending);
      }
    }
  };
  return {
    delivers: true,
    hasRoom,
    send: (email, onEnd = () => undefined) => {
      const { to, about } = email;
      if (stopped || !hasRoom(about.kind, to)) {
        onEnd('unsent');
        return;
      }
      if (ready.length + running + later.size >= maxWaiting) {
        onError(new Error('too many emails wait; this one is not sent'));
        onEnd('unsent');
        return;
      }
      const key = keyOf(about.kind, to);
      const { count, sinceMs } = sent.get(key) ?? { count: 0, sinceMs: nowMs() };
      sent.set(key, { count: count + 1, sinceMs });
      ready.push({ sending: { email, onEnd }, round: 0 });
      more();
    },
    settle: async (withinMs) => {
      stopped = true;
      for (const timer of later.keys()) clearTimeout(timer);
      if (running + ready.length > 0) {
        await new Promise<void>((resolve) => {
          const over = setTimeout(() => stop.abort(), withinMs);
          idle = () => {
            clearTimeout(over);
            resolve();
          };
          more();
        });
      }
      const lost = [...ready.map(({ sending }) => sending), ...later.values()];
      if (lost.length > 0) onError(new Error(`the gate stops; emails that are not sent: ${lost.length}`));
      for (const { onEnd } of lost) onEnd('unsent');
      transport.close();
    },
  };
}

/** The server said no for good (5yz, RFC 5321, section 4.2.1): trying again asks the same question. */
function isFinal(error: unknown): boolean {
  const { responseCode } = error as { responseCode?: number };
  return responseCode !== undefined && responseCode >= 500;
}
