import { expect, test } from 'vitest';
import { type LetterAbout, write } from './post.ts';

const letters: readonly LetterAbout[] = [
  { kind: 'confirm', url: 'https://gate.example.org/portal/confirm#c' },
  { kind: 'reset', url: 'https://gate.example.org/portal/reset#c' },
  { kind: 'known', url: 'https://gate.example.org/portal/sign-in' },
  { kind: 'approved', url: 'https://gate.example.org/portal/home', word: 'よく来た' },
  { kind: 'rejected', url: 'https://gate.example.org/portal/home', word: null },
  { kind: 'suspended', url: 'https://gate.example.org/portal/home', reason: 'r', endsAt: Date.UTC(2026, 10, 24) },
  { kind: 'suspended', url: 'https://gate.example.org/portal/home', reason: 'r', endsAt: null },
  { kind: 'answered', url: 'https://gate.example.org/portal/home', word: 'w', lifted: true },
  { kind: 'expiring', url: 'https://gate.example.org/portal/keys', key: 'k', endsAt: Date.UTC(2026, 10, 24) },
];

test.each(letters)('$kind is written in both languages, with its link, and without the other’s words', (about) => {
  const [en, ja] = (['en', 'ja'] as const).map((language) => write({ to: 'x', language, about }, 'Gate'));
  for (const { subject, text } of [en!, ja!]) {
    expect(subject).toMatch(/^\[Gate\] ./);
    if (about.kind !== 'rejected') expect(text).toContain(about.url);
    expect(text).not.toMatch(/undefined|null|\n\n\n/);
  }
  expect(ja!.text).toMatch(/[ぁ-ん]/);
  expect(en!.text.replace('よく来た', '')).not.toMatch(/[ぁ-ん]/);
});

test('a letter without a language is English', () => {
  expect(write({ to: 'x', language: null, about: letters[0]! }, 'Gate').text).toMatch(/^Somebody/);
});
