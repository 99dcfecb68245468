// The mail server, and who writes.
import { z } from 'zod';
import { isOneLine, type LiveSetting, live, must, setting } from './kinds.ts';
import { smtpAddress } from './smtp.ts';

export const mailSettings = {
  smtpUrl: live(
    'mail',
    setting(
      'smtp_url',
      z
        .string()
        .refine((text) => text === '' || smtpAddress(text) !== undefined, must('setting_smtp', {}))
        .transform((text) => (text === '' ? text : (smtpAddress(text) as string))),
      '',
      'address',
      'Mail server, as smtps://user:password@host:465. Without one, operators pass links on themselves.',
    ),
    { bundle: 'smtp' },
  ),
  smtpPassword: live(
    'mail',
    setting(
      'smtp_password',
      z.string().max(1_000),
      '',
      'text',
      'Password at that mail server, instead of one in smtp_url; stored encrypted if it is set in the portal.',
      true,
    ),
    { bundle: 'smtp' },
  ),
  mailFrom: live(
    'mail',
    setting(
      'mail_from',
      z
        .string()
        .max(300)
        .refine(
          (text) => text === '' || (isOneLine(text) && /[^\s@<>]@[^\s@<>]+>?\s*$/.test(text)),
          must('setting_from', {}),
        ),
      '',
      'address',
      'Sender of emails, as Sekisho <gate@example.org>.',
    ),
  ),
} as const satisfies Record<string, LiveSetting>;
