// The texts of emails in English.
import { day, quoted, type Templates } from './templates.ts';

export const english: Templates = {
  confirm: (about, gate) => ({
    subject: 'Confirm your address',
    lines: [
      `Somebody applied for access to ${gate} with this address:`,
      [
        `Name: ${quoted(about.name)}`,
        `Purpose: ${quoted(about.purpose)}`,
        `Time: ${day(about.at, 'en')} (UTC)`,
        `Application: ${about.reference}`,
      ].join('\n'),
      'If this is your application, with the number that the page showed you, confirm it here:',
      about.url,
      'It works once, for two days. If you did not make this application, do nothing: nobody gets access in your name.',
    ],
  }),
  reset: (about) => ({
    subject: 'Choose a new password',
    lines: [
      'Open this page to choose a new password:',
      about.url,
      'It works once, for an hour. If you did not ask for it, do nothing: your password stays as it is.',
    ],
  }),
  known: (about, gate) => ({
    subject: 'You have an account already',
    lines: [
      `Somebody, probably you, applied for access to ${gate} with this address, which has an account already.`,
      `Sign in, or choose a new password, here: ${about.url}`,
      'If it was not you, do nothing.',
    ],
  }),
  approved: (about) => ({
    subject: 'You have access',
    lines: [`Your application was approved. Your key waits for you here: ${about.url}`, about.word ?? ''],
  }),
  rejected: (about) => ({
    subject: 'About your application',
    lines: ['Your application was turned down.', about.word ?? ''],
  }),
  suspended: (about) => ({
    subject: 'Your access is restricted',
    lines: [
      `Reason: ${about.reason}`,
      about.endsAt === null
        ? 'It lasts until an operator lifts it.'
        : `It ends by itself on ${day(about.endsAt, 'en')} (UTC).`,
      `What it means, and how to appeal: ${about.url}`,
    ],
  }),
  answered: (about) => ({
    subject: 'Your appeal was answered',
    lines: [about.word, about.lifted ? 'The restriction is lifted.' : 'The restriction stays.', about.url],
  }),
  expiring: (about) => ({
    subject: 'A key is about to expire',
    lines: [
      `Your key “${about.key}” stops working on ${day(about.endsAt, 'en')} (UTC).`,
      `Make a new one in time: ${about.url}`,
    ],
  }),
};
