// What the gate says beside a state reaches a Japanese page in Japanese: every cause that a source writes is in the table of
// domain/causes, with the same figures in both languages.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { causeIn, causes, heard } from '../../src/domain/causes.ts';
import { causesInJapanese } from '../../src/domain/causes-japanese.ts';
import { fillHoles } from '../../src/domain/plural.ts';

const root = join(import.meta.dirname, '../..');
const holesOf = (text: string): string[] => Array.from(text.matchAll(/\{(\w+)\}/g), ([, name = '']) => name).toSorted();
const samples: Readonly<Record<string, string>> = {
  count: '1,234',
  threshold: '1,000',
  status: '503',
  wait: '12',
  file: '/etc/gate.pem',
  origin: 'https://gpu.example',
  line: '3',
  other: 'wrong tag',
  moment: '2026-11-26T00:00:00.000Z',
  code: 'EACCES',
  rule: 'night-use',
  name: 'CN=Example',
  words: 'http-01, tls-alpn-01',
  measure: 'refused calls',
  window: '24 h',
  fault: 'it ended on 2026-11-26T00:00:00.000Z',
};
const filled = (text: string): string => fillHoles(text, (hole) => samples[hole] ?? '?');

test('every cause is told in Japanese with the same figures', () => {
  for (const [cause, english] of Object.entries(causes)) {
    const japanese = causesInJapanese[cause as keyof typeof causes];
    expect(holesOf(japanese), cause).toEqual(holesOf(english));
    const said = heard(filled(english));
    expect(said, cause).toMatch(/[ぁ-んァ-ン一-龠]/);
    for (const hole of holesOf(english).filter((name) => !['measure', 'window', 'fault'].includes(name)))
      expect(said, cause).toContain(samples[hole]);
  }
});

test('a cause has its parts in Japanese, several stand beside each other, and what is not known stays', () => {
  expect(causeIn('ja', '50 refused calls within 10 min; the threshold of the rule tries is 20.')).toBe(
    '10分以内の拒否の回数が50に達しました。ルール「tries」のしきい値は20です。',
  );
  expect(causeIn('ja', '/a/b.pem: it cannot be read (EACCES); there is no revocation list in it')).toBe(
    '/a/b.pem：ファイルを読み取れません（EACCES）。失効リストが含まれていません',
  );
  expect(causeIn('ja', 'rateLimited: too many certificates')).toBe('rateLimited: too many certificates');
  expect(causeIn('en', 'it answers 503')).toBe('it answers 503');
});

test('no code of an error stands alone, in either language', () => {
  const bare = Object.values(causes).filter((text) => /^[A-Z]\w+$/.test(text));
  expect(bare.length).toBeGreaterThan(12);
  const others = [
    'EPROTO',
    'EPIPE',
    'EAI_FAIL',
    'UND_ERR_HEADERS_TIMEOUT',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'CERT_REVOKED',
  ];
  for (const code of [...bare, ...others]) {
    expect(causeIn('en', code)).toBe(causeIn('en', code).replace(/ \(.*$/, ` (${code})`));
    expect(causeIn('en', code)).toMatch(/^(?:it|its|the) [a-z -]+ \(/);
    expect(causeIn('ja', code), code).toMatch(/[ぁ-ん]/);
  }
  expect(causeIn('en', 'ECONNREFUSED')).toBe('it refuses connections (ECONNREFUSED)');
  expect(causeIn('en', 'connect ECONNREFUSED 127.0.0.1:25')).toBe(
    'it refuses connections (connect ECONNREFUSED 127.0.0.1:25)',
  );
  expect(causeIn('ja', 'getaddrinfo ENOTFOUND mail.example')).toBe(
    'ホスト名が見つかりません（getaddrinfo ENOTFOUND mail.example）',
  );
  expect(causeIn('en', '/a/b.pem: there is no PEM block in it; EPROTO')).toBe(
    '/a/b.pem: there is no PEM block in it; the connection failed (EPROTO)',
  );
  // A person has typed it.
  expect(causeIn('en', 'EXCESS')).toBe('EXCESS');
});

/** The texts of these calls in these sources; what is filled in is a letter that fits every hole. */
function written(sources: readonly string[], calls: RegExp): string[] {
  return sources.flatMap((pattern) =>
    globSync(pattern, { cwd: root })
      .filter((name) => !name.includes('.test.'))
      .flatMap((name) =>
        Array.from(readFileSync(join(root, name), 'utf8').matchAll(calls), ([, , text = '']) => text).filter(Boolean),
      ),
  );
}

/** With a sample for each part that is filled in: at least one makes it a cause of the table. */
const isKnown = (text: string): boolean =>
  Object.values(samples).some((sample) => heard(text.replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, sample)) !== undefined);

test('what certificates are refused with, and what is said of servers, is in the table', () => {
  const texts = [
    ...written(['src/tls/*.ts'], /new (?:PairUnusable)\(\s*(['`])((?:(?!\1)[^\\])*)\1/g),
    ...written(['src/domain/authority-certificates.ts'], /throw unusable\(\s*(['`])((?:(?!\1)[^\\])*)\1/g),
    ...written(['src/upstream/json-route.ts'], /new (?:Loading|Refused|NoList|Error)\(\s*(['`])((?:(?!\1)[^\\])*)\1/g),
    ...written(['src/upstream/credentials.ts'], /new CredentialsUnusable\(\s*(['`])((?:(?!\1)[^\\])*)\1/g),
    ...written(
      ['src/domain/sealed-secret.ts', 'src/management/servers/sealing.ts'],
      /new SealUnusable\(\s*(['`])((?:(?!\1)[^\\])*)\1/g,
    ),
    ...written(['src/compose/services.ts'], /throw new Error\(\s*(['`])((?:(?!\1)[^\\])*)\1/g),
    ...written(
      ['src/compose/model-servers.ts', 'src/jobs/stored-servers.ts'],
      /(?:throw new Error\(|return) (['`])((?:(?!\1)[^\\]){12,})\1/g,
    ),
    ...written(
      ['src/upstream/*.ts', 'src/upstream/loads/*.ts'],
      /(?:reason[:=]|reason =|undefined :) (['`])((?:(?!\1)[^\\])*)\1/g,
    ),
  ];
  expect(texts.length).toBeGreaterThan(25);
  // Two parts of different kinds in one text are compared by the other test.
  // What is wrong with the settings stops the start, and is read on a terminal.
  const known = texts.filter((text) => !/upstream_cert|servers in upstream/.test(text));
  expect(known.filter((text) => !isKnown(text) && (text.match(/\$\{/g) ?? []).length < 2)).toEqual([]);
});
