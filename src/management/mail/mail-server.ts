// The mail server that the settings name.
import type { LiveValues } from '../../settings/live-table.ts';
import { withPassword } from '../../settings/smtp.ts';
import type { MailServer } from './smtp.ts';

type Values = Pick<LiveValues, 'smtpUrl' | 'smtpPassword' | 'mailFrom' | 'gateName'>;

export const mailServerOf = ({ smtpUrl, smtpPassword, mailFrom, gateName }: Values): MailServer => ({
  smtpUrl: withPassword(smtpUrl, smtpPassword),
  from: mailFrom,
  gate: gateName,
});
