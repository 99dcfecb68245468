// A word after a number follows it: no sentence says "1 calls". A sentence whose number is a constant of the program may have one form.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { causes } from '../../src/domain/causes.ts';
import { details } from '../../src/domain/refusal-details.ts';
import { sentences } from '../../src/domain/sentences.ts';

const root = join(import.meta.dirname, '../..');
const nouns =
  '(?:calls|requests|tokens|keys|accounts|applications|secrets|entries|seconds|minutes|hours|days|weeks|months|characters|servers|models|images|plans|rules|pages|people|sessions|units|pulls|routes|announcements|passkeys|fallbacks|patterns)';

/** Their number is a bound of the program, and larger than 1. */
const constant = new Set([
  'announcements_full',
  'routes_full',
  'model_names_full',
  'servers_full',
  'pulls_full',
  'fallbacks_full',
  'model_name_plans_full',
  'patterns_full',
  'pattern_long',
  'passkeys_full',
  'password_short',
  'password_long',
]);

test('the sentences of the gateway have both forms of a word after a number', () => {
  const told = Object.entries({ ...sentences, ...details, ...causes })
    .filter(([name]) => !constant.has(name))
    .filter(([, text]) =>
      new RegExp(
        `\\{(?:count|most|least|used|need|held|running|days|items|units)\\} (?:[a-z-]+ ){0,2}${nouns}\\b`,
      ).test(text),
    );
  expect(told).toEqual([]);
});

test('a source that puts a number before a word uses the plural rules', () => {
  // At least 2 days; constants; lengths of long texts; one of several servers.
  const allowed = [
    'src/gateway/limits/limit-refusals.ts',
    'src/tls/acme.ts',
    'src/domain/sealed-secret.ts',
    'src/domain/audit.ts',
    'src/gateway/spread/spread.ts',
  ];
  const found = globSync('src/**/*.ts', { cwd: root })
    .filter((file) => !file.endsWith('.test.ts') && !allowed.includes(file))
    .flatMap((file) =>
      Array.from(
        readFileSync(join(root, file), 'utf8').matchAll(new RegExp(`\\$\\{[^}]+\\} (?:[a-z-]+ )?${nouns}\\b`, 'g')),
        ([text]) => `${file}: ${text}`,
      ),
    );
  expect(found).toEqual([]);
});

test('a text of the pages that has a number before a word has a form for each', () => {
  const found = globSync('portal/src/words/*.ts', { cwd: root }).flatMap((file) =>
    Array.from(
      readFileSync(join(root, file), 'utf8').matchAll(
        new RegExp(`^ *(\\w+):\\s*'[^'\\n]*\\{\\{\\w+\\}\\} ${nouns}\\b(?!/s).*$`, 'gm'),
      ),
      ([line, name = '']) => ({ line: line.trim(), name }),
    )
      .filter(({ name }) => !/_(?:one|other)$/.test(name))
      .map(({ line }) => `${file}: ${line}`),
  );
  expect(found).toEqual([]);
});
