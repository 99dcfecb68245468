// The SMTP mailer, with nodemailer: sends a few emails at a time, retries temporary failures, and limits waiting emails.
import { createHash } from 'node:crypto';
import type { Transporter } from 'nodemailer';
import { onceItWorks } from '../../domain/once-it-works.ts';
import type { Language } from '../../domain/person.ts';
import type { Delivery, Email, Mailer } from './mailer.ts';
import { render } from './render.ts';

/** How emails are sent now; it may change while some wait. */
export interface MailServer {
  /** smtp:// or smtps://, with user and password where they are needed, percent-encoded; empty: there is no mail. */
  readonly smtpUrl: string;
  readonly from: string;
  /** The name of the gateway in emails. */
  readonly gate: string;
}

export interface MailSettings {
  readonly server: () => MailServer;
  /** Called after each attempt; undefined: a server accepted the email. */
  readonly onTry?: (error?: unknown) => void;
  readonly onError: (cause: unknown) => void;
}

const maxWaiting = 1_000;
const atOnce = 4;
/** Delays before the second and later attempts. An email that waits for its next attempt does not block others. */
const pausesMs = [1_000, 5_000, 60_000, 600_000];
/** nodemailer's defaults are 2 minutes for a connection and 10 for an answer. */
const patience = { connectionTimeout: 10_000, greetingTimeout: 10_000, dnsTimeout: 10_000, socketTimeout: 30_000 };

interface Sending {
  readonly email: Email;
  readonly onEnd: (how: Delivery) => void;
}

/** Sends a few emails at a time; the rest, and those to be retried, wait in memory. */
class SmtpMailer implements Mailer {
  readonly #settings: MailSettings;
  #transport: Transport | undefined;
  /** Queued emails, those being sent, and those that wait for their next attempt. */
  readonly #ready: { readonly sending: Sending; readonly round: number }[] = [];
  readonly #later = new Map<NodeJS.Timeout, Sending>();
  #running = 0;
  #stopped = false;
  readonly #stop = new AbortController();
  #idle = (): void => undefined;

  constructor(settings: MailSettings) {
    this.#settings = settings;
  }

  get delivers(): boolean {
    return this.#settings.server().smtpUrl !== '';
  }

  renew(): void {
    for (const [timer, sending] of this.#later) {
      clearTimeout(timer);
      this.#ready.push({ sending, round: 0 });
    }
    this.#later.clear();
    this.#more();
  }

  send(email: Email, onEnd: (how: Delivery) => void = () => undefined): void {
    const { onError } = this.#settings;
    if (this.#stopped || !this.delivers) {
      onEnd(this.delivers ? 'unsent' : 'refused');
      return;
    }
    if (this.#ready.length + this.#running + this.#later.size >= maxWaiting) {
      onError(new Error('too many emails wait; this one is not sent'));
      onEnd('unsent');
      return;
    }
    this.#ready.push({ sending: { email, onEnd }, round: 0 });
    this.#more();
  }

  async settle(withinMs: number): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#later.keys()) clearTimeout(timer);
    if (this.#running + this.#ready.length > 0) {
      await new Promise<void>((resolve) => {
        const over = setTimeout(() => this.#stop.abort(), withinMs);
        this.#idle = () => {
          clearTimeout(over);
          resolve();
        };
        this.#more();
      });
    }
    const lost = [...this.#ready.map(({ sending }) => sending), ...this.#later.values()];
    if (lost.length > 0)
      this.#settings.onError(new Error(`the gateway stops; emails that are not sent: ${lost.length}`));
    for (const { onEnd } of lost) onEnd('unsent');
    if (this.#transport) closeLater(this.#transport);
  }

  #more(): void {
    const { signal } = this.#stop;
    while (this.#running < atOnce && !signal.aborted) {
      const next = this.#ready.shift();
      if (!next) break;
      this.#running++;
      void this.#deliver(next.sending, next.round).finally(() => {
        this.#running--;
        this.#more();
      });
    }
    if (this.#running === 0 && (this.#ready.length === 0 || signal.aborted)) this.#idle();
  }

  async #deliver(sending: Sending, round: number): Promise<void> {
    const { email, onEnd } = sending;
    const transport = this.#transportNow();
    if (!transport) {
      onEnd('unsent');
      return;
    }
    const { subject, text } = render(email, this.#settings.server().gate);
    const headers = {
      'Auto-Submitted': 'auto-generated',
      ...(email.id === undefined ? {} : { 'Message-ID': messageId(email.id, transport.server) }),
    };
    try {
      const sender = await transport.sender();
      await sender.sendMail({ to: email.to, subject, text, headers, signal: this.#stop.signal });
      this.#settings.onTry?.();
      onEnd('sent');
    } catch (error) {
      if (!this.#stopped) this.#settings.onTry?.(error);
      const pauseMs = this.#stopped || isFinal(error) ? undefined : pausesMs[round];
      if (pauseMs !== undefined) this.#tryLater(sending, round + 1, pauseMs);
      else {
        this.#settings.onError(error);
        onEnd(isFinal(error) ? 'refused' : 'unsent');
      }
    }
  }

  #tryLater(sending: Sending, round: number, pauseMs: number): void {
    const timer = setTimeout(() => {
      this.#later.delete(timer);
      this.#ready.push({ sending, round });
      this.#more();
    }, pauseMs);
    this.#later.set(timer.unref(), sending);
  }

  /** For the mail server of the current settings; undefined without one. */
  #transportNow(): Transport | undefined {
    const server = this.#settings.server();
    const { smtpUrl, from } = server;
    if (this.#transport?.server.smtpUrl === smtpUrl && this.#transport.server.from === from) return this.#transport;
    // Emails that are being sent over the old connection still finish.
    if (this.#transport) closeLater(this.#transport);
    this.#transport = smtpUrl === '' ? undefined : { server, sender: onceItWorks(() => openSender(server)) };
    return this.#transport;
  }
}

interface Transport {
  readonly server: MailServer;
  readonly sender: () => Promise<Transporter>;
}

function closeLater({ sender }: Transport): void {
  sender().then(
    (opened) => opened.close(),
    () => undefined,
  );
}

/** nodemailer is loaded with the first email: it takes 5 MB. */
async function openSender(server: MailServer): Promise<Transporter> {
  const { createTransport } = await import('nodemailer');
  return createTransport({ url: server.smtpUrl, ...patience, socketCloseTimeout: 0 }, { from: server.from });
}

/** RFC 5322, section 3.6.4: the same for a message that is sent again. The id of a row may say whom it is about. */
function messageId(id: string, { from }: MailServer): string {
  const domain = /@([^\s@>]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';
  return `<${createHash('sha256').update(id).digest('hex').slice(0, 32)}@${domain}>`;
}

export const openSmtpMailer = (settings: MailSettings): Mailer => new SmtpMailer(settings);

/** Sends one email immediately, without retries. Rejects with the error of the server or of the connection. */
export async function sendTestEmail(server: MailServer, to: string, language: Language): Promise<void> {
  const sender = await openSender(server);
  try {
    const { subject, text } = render({ to, language, about: { kind: 'test' } }, server.gate);
    await sender.sendMail({ to, subject, text, headers: { 'Auto-Submitted': 'auto-generated' } });
  } finally {
    sender.close();
  }
}

/** The server rejected the email permanently (5yz, RFC 5321, section 4.2.1), so it is not retried. */
function isFinal(error: unknown): boolean {
  const { responseCode } = error as { responseCode?: number };
  return responseCode !== undefined && responseCode >= 500;
}
