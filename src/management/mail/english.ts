// The texts of emails in English.
import { day, quoted, type Templates } from './templates.ts';

export const english: Templates = {
  confirm: (about, gate) => ({
    subject: 'Confirm your address',
    lines: [
      `Someone applied for access to ${gate} with this address:`,
      [
        `Name: ${quoted(about.name)}`,
        `Purpose: ${quoted(about.purpose)}`,
        `Time: ${day(about.at, 'en')} (UTC)`,
        `Application: ${about.reference}`,
      ].join('\n'),
      'If this is your application and it has the number that the page showed you, confirm it here:',
      about.url,
      'The link works once and expires in two days. If you did not apply, do nothing: no one gets access in your name.',
    ],
  }),
  reset: (about) => ({
    subject: 'Choose a new password',
    lines: [
      'Open this page to choose a new password:',
      about.url,
      'The link works once and expires in an hour. If you did not ask for it, do nothing: your password does not change.',
    ],
  }),
  known: (about, gate) => ({
    subject: 'You already have an account',
    lines: [
      `Someone, probably you, applied for access to ${gate} with this address, which already has an account.`,
      `Sign in, or choose a new password, here: ${about.url}`,
      'If it was not you, do nothing.',
    ],
  }),
  approved: (about) => ({
    subject: 'You have access',
    lines: [`Your application was approved. Get your key here: ${about.url}`, about.word ?? ''],
  }),
  rejected: (about) => ({
    subject: 'About your application',
    lines: ['Your application was rejected.', about.word ?? ''],
  }),
  suspended: (about) => ({
    subject: 'Your access is restricted',
    lines: [
      `Reason: ${about.reason}`,
      about.endsAt === null
        ? 'It lasts until an operator lifts it.'
        : `It ends automatically on ${day(about.endsAt, 'en')} (UTC).`,
      `What it means, and how to appeal: ${about.url}`,
    ],
  }),
  answered: (about) => ({
    subject: 'Your appeal was answered',
    lines: [about.word, about.lifted ? 'The restriction was lifted.' : 'The restriction stays in force.', about.url],
  }),
  expiring: (about) => ({
    subject: 'A key is about to expire',
    lines: [
      `Your key “${about.key}” stops working on ${day(about.endsAt, 'en')} (UTC).`,
      `Create a new one before then: ${about.url}`,
    ],
  }),
  test: (_about, gate) => ({
    subject: 'Test email',
    lines: [`An operator of ${gate} sent this to see whether emails arrive. They do.`],
  }),
};
