// The post over SMTP, by nodemailer: in order, a few tries each, a bound on what waits and on what one mailbox gets in an hour,
// since anybody can make this gate write to any address by applying with it.
import { createTransport } from 'nodemailer';
import type { MonotonicMs } from '../domain/time.ts';
import { type Letter, type Post, write } from './post.ts';

export interface MailSettings {
  /** smtp:// or smtps://, with user and password where they are needed. */
  readonly smtpUrl: string;
  readonly from: string;
  /** What the gate calls itself in letters. */
  readonly gate: string;
  readonly nowMs: () => MonotonicMs;
  readonly onError: (cause: unknown) => void;
}

const maxWaiting = 1_000;
const maxAnHour = 10;
const hourMs = 3_600_000;
const pausesMs = [1_000, 5_000];

export function openMail({ smtpUrl, from, gate, nowMs, onError }: MailSettings): Post {
  const transport = createTransport(smtpUrl, { from });
  const sent = new Map<string, { count: number; sinceMs: MonotonicMs }>();
  let waiting = 0;
  let line = Promise.resolve();

  const over = (to: string): boolean => {
    for (const [address, { sinceMs }] of sent) if (nowMs() - sinceMs > hourMs) sent.delete(address);
    const count = sent.get(to) ?? { count: 0, sinceMs: nowMs() };
    sent.set(to, { ...count, count: count.count + 1 });
    return count.count >= maxAnHour;
  };
  const deliver = async (letter: Letter): Promise<void> => {
    const { subject, text } = write(letter, gate);
    for (let round = 0; ; round++) {
      try {
        await transport.sendMail({ to: letter.to, subject, text, headers: { 'Auto-Submitted': 'auto-generated' } });
        return;
      } catch (error) {
        const pause = pausesMs[round];
        if (pause === undefined) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause).unref());
      }
    }
  };
  return {
    delivers: true,
    send: (letter) => {
      if (over(letter.to)) return;
      if (waiting >= maxWaiting) {
        onError(new Error('too many letters wait; this one is not sent'));
        return;
      }
      waiting++;
      line = line
        .then(() => deliver(letter))
        .catch(onError)
        .finally(() => {
          waiting--;
        });
    },
    settle: async () => {
      await line;
      transport.close();
    },
  };
}
