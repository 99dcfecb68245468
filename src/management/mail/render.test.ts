import { expect, test } from 'vitest';
import { type EmailContent } from './mailer.ts';
import { render } from './render.ts';
import { quoted } from './templates.ts';

const emails: readonly EmailContent[] = [
  {
    kind: 'confirm',
    url: 'https://gate.example.org/portal/confirm#c',
    name: 'Hanako',
    purpose: 'a thesis',
    at: Date.UTC(2026, 10, 24),
    reference: 'a1B2c3',
  },
  { kind: 'reset', url: 'https://gate.example.org/portal/reset#c' },
  { kind: 'known', url: 'https://gate.example.org/portal/sign-in' },
  { kind: 'approved', url: 'https://gate.example.org/portal/home', word: 'よく来た' },
  { kind: 'rejected', url: 'https://gate.example.org/portal/home', word: null },
  { kind: 'suspended', url: 'https://gate.example.org/portal/home', reason: 'r', endsAt: Date.UTC(2026, 10, 24) },
  { kind: 'suspended', url: 'https://gate.example.org/portal/home', reason: 'r', endsAt: null },
  { kind: 'answered', url: 'https://gate.example.org/portal/home', word: 'w', lifted: true },
  { kind: 'test' },
  { kind: 'expiring', url: 'https://gate.example.org/portal/keys', key: 'k', endsAt: Date.UTC(2026, 10, 24) },
];

test.each(emails)(
  '$kind is written in both languages, with its link, and without words of the other language',
  (about) => {
    const [en, ja] = (['en', 'ja'] as const).map((language) => render({ to: 'x', language, about }, 'Gate'));
    for (const { subject, text } of [en!, ja!]) {
      expect(subject).toMatch(/^\[Gate\] ./);
      if (about.kind !== 'rejected' && about.kind !== 'test') expect(text).toContain(about.url);
      expect(text).not.toMatch(/undefined|null|\n\n\n/);
    }
    expect(ja!.text).toMatch(/[ぁ-ん]/);
    expect(en!.text.replace('よく来た', '')).not.toMatch(/[ぁ-ん]/);
  },
);

test('an email without a language is English', () => {
  expect(render({ to: 'x', language: null, about: emails[0]! }, 'Gate').text).toMatch(/^Someone/);
});

test('user input adds no link and no line to an email', () => {
  expect(quoted('Win at https://evil.example/x?y now')).toBe('Win at […] now');
  expect(quoted('www.evil.example\r\nBcc: a@b.org')).toBe('[…] Bcc: […]');
  expect(quoted('見てevil.exampleから')).toBe('見て[…]から');
  expect(quoted('A. Turing, 3.5 years: proofs')).toBe('A. Turing, […] years: proofs');
  expect(quoted('長'.repeat(300))).toHaveLength(120);
  // Mail programs turn names in any script into links, and browsers accept the dots of several scripts.
  const host = String.raw`[\p{L}\p{N}\p{M}\p{S}]`;
  const link = new RegExp(`://\\S|@\\S|www[.．。｡]\\S|${host}[.．。｡]${host}`, 'u');
  for (const text of [
    'see http://пример.рф/вход now',
    'www.例え.テスト',
    'https://münchen.example.中国',
    'пример.рф',
    'http：／／例え。テスト',
    'mailto:почта@пример.рф',
    'http://💩💩',
    '例え｡テスト と 例え．テスト',
  ])
    expect(quoted(text), text).not.toMatch(link);
  expect(quoted('卒業研究のためです。よろしくお願いします。')).toBe('卒業研究のためです。 よろしくお願いします。');
});
