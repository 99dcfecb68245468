// A mail server on a loopback port that keeps every email it receives.
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { eventually } from './gate.ts';

export interface Email {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

export interface Mailbox {
  /** For SMTP_URL. */
  readonly url: string;
  readonly emails: Email[];
  /** The newest email to that address with this text in its body or subject, once it has arrived. */
  to(address: string, part?: string): Promise<Email>;
  close(): Promise<void>;
}

export async function openMailbox(): Promise<Mailbox> {
  const emails: Email[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const raw = Buffer.concat(chunks).toString('utf8');
        emails.push({ to: session.envelope.rcptTo[0]?.address ?? '', ...read(raw) });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    emails,
    to: (address, part = '') =>
      eventually(() => {
        const found = emails.findLast((each) => each.to === address && `${each.subject}\n${each.text}`.includes(part));
        if (!found) throw new Error(`no such email to ${address} among ${JSON.stringify(emails)}`);
        return found;
      }),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function read(raw: string): { subject: string; text: string } {
  const end = raw.indexOf('\r\n\r\n');
  const head = raw.slice(0, end).replaceAll(/\r\n[ \t]+/g, ' ');
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? '';
  const coding = field('content-transfer-encoding').toLowerCase();
  const body = raw.slice(end + 4);
  const text =
    coding === 'base64'
      ? Buffer.from(body, 'base64').toString('utf8')
      : coding === 'quoted-printable'
        ? fromQuoted(body.replaceAll('=\r\n', ''), '=')
        : body;
  return { subject: words(field('subject')), text };
}

/** RFC 2047. */
function words(text: string): string {
  return text
    .replaceAll(/\?= =\?/g, '?==?')
    .replaceAll(/=\?utf-8\?([bq])\?(.*?)\?=/gi, (_, kind: string, piece: string) =>
      kind.toLowerCase() === 'b'
        ? Buffer.from(piece, 'base64').toString('utf8')
        : fromQuoted(piece.replaceAll('_', ' '), '='),
    );
}

function fromQuoted(text: string, sign: string): string {
  const bytes = text.replaceAll(new RegExp(`${sign}([0-9A-F]{2})`, 'g'), (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
