// The portal is complete in two languages: the same words in both, none empty, none unused, none missing.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { lists } from '../../portal/src/words/lists.ts';
import { log } from '../../portal/src/words/log.ts';
import { member } from '../../portal/src/words/member.ts';
import { notices } from '../../portal/src/words/notices.ts';
import { operator } from '../../portal/src/words/operator.ts';
import { policy } from '../../portal/src/words/policy.ts';
import { reference } from '../../portal/src/words/reference.ts';
import { japanese as routesInJapanese } from '../../portal/src/words/routes.ts';
import { serving } from '../../portal/src/words/serving.ts';
import { settings } from '../../portal/src/words/settings.ts';
import { shell } from '../../portal/src/words/shell.ts';
import { visitor } from '../../portal/src/words/visitor.ts';
import { firstRegistration } from '../../src/domain/application.ts';
import { windowNames } from '../../src/domain/calendar.ts';
import { measures } from '../../src/domain/limit.ts';
import { termNames } from '../../src/domain/plan.ts';
import { ruleMeasures, steps } from '../../src/domain/rule.ts';
import { sentences } from '../../src/domain/sentences.ts';
import { serverStates } from '../../src/domain/server-status.ts';
import { outcomes } from '../../src/domain/usage.ts';
import { endpoints } from '../../src/management/endpoints.ts';
import { liveGroups } from '../../src/settings/kinds.ts';
import { liveSettings } from '../../src/settings/live-table.ts';

const all = { shell, visitor, member, operator, policy, serving, lists, log, notices, reference, settings };
const source = join(import.meta.dirname, '../../portal/src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (name) => /\.tsx?$/.test(name) && !name.startsWith('words'),
);

function flat(words: object, before = ''): Map<string, string> {
  return new Map(
    Object.entries(words).flatMap(([name, value]: [string, unknown]) =>
      typeof value === 'string' ? [[before + name, value] as const] : [...flat(value as object, `${before}${name}.`)],
    ),
  );
}

/** By the name without its plural category (Intl.PluralRules); of several the last, which is the one for many. */
const pluralless = (words: Map<string, string>): Map<string, string> =>
  new Map([...words].map(([name, text]) => [name.replace(/_(?:one|other)$/, ''), text]));

/** The noun of code (docs/glossary.md): not a part of an address, a name or an identifier. */
const gate = /(?<![{@\w./:-])gates?\b(?![@}/_-]|[.:]\w)/i;

test('pages, refusals, messages, command help and log lines say gateway', () => {
  const texts = [...Object.values(all).flatMap(({ en }) => [...flat(en).values()]), ...Object.values(sentences)];
  expect(texts.filter((text) => gate.test(text))).toEqual([]);
  const src = join(import.meta.dirname, '../../src');
  const sentencesOf = (name: string): string[] =>
    readFileSync(join(src, name), 'utf8')
      .split('\n')
      .filter((line) => !/^\s*(?:\/\/|\*|\/\*)/.test(line))
      .flatMap((line) => line.match(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`/g) ?? [])
      // A statement of SQL has the names of tables and leases.
      .filter(
        (text) =>
          / /.test(text) && !/\b(?:select|update|insert|delete|create) .*\b(?:from|set|into|table)\b/.test(text),
      );
  const told = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .flatMap((name) => sentencesOf(name).map((text) => `${name}: ${text}`));
  expect(told.length).toBeGreaterThan(1_000);
  expect(told.filter((text) => gate.test(text.slice(text.indexOf(': ') + 2)))).toEqual([]);
});

test('documents say gateway', () => {
  const root = join(import.meta.dirname, '../..');
  const documents = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
    'bench/README.md',
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).flatMap((name) =>
      name.endsWith('.md') ? [`docs/${name}`] : [],
    ),
  ];
  const prose = (name: string): string[] =>
    readFileSync(join(root, name), 'utf8')
      .replaceAll(/```[^]*?```|`[^`]*`|\]\([^)]*\)/g, '')
      // Test names are quoted as they are, and the terms explain the word.
      .replaceAll(/“[^”]*”|\*\*gate\*\*|say gate\./g, '')
      .split('\n')
      .map((line) => `${name}: ${line}`);
  expect(documents.flatMap(prose).filter((line) => gate.test(line.slice(line.indexOf(': '))))).toEqual([]);
  // Comments of files that operators copy.
  const copied = ['compose.yaml', 'Containerfile', 'deploy/sekisho.service', 'deploy/several-gateways/compose.yaml'];
  const comments = [...copied, 'deploy/several-gateways/haproxy.cfg'].flatMap((name) =>
    readFileSync(join(root, name), 'utf8').match(/^\s*(?:#|Description=).*/gm),
  );
  expect(comments.filter((line) => gate.test(line ?? ''))).toEqual([]);
});

test.each(Object.entries(all))('a word with a count in %s has every form that its language has', (_, { en, ja }) => {
  for (const [language, words] of [
    ['en', flat(en)],
    ['ja', flat(ja)],
  ] as const) {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    for (const [name, text] of words) {
      if (!text.includes('{{count}}')) continue;
      const plain = name.replace(/_(?:one|other)$/, '');
      for (const form of forms) expect(words.has(`${plain}_${form}`), `${language} ${plain}_${form}`).toBe(true);
    }
  }
});

test.each(Object.entries(all))('%s has the same words in Japanese and English', (_, { en, ja }) => {
  const [english, japanese] = [pluralless(flat(en)), pluralless(flat(ja))];
  expect([...japanese.keys()]).toEqual([...english.keys()]);
  const holes = (text: string): string[] =>
    [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name).toSorted();
  for (const [name, text] of english) {
    expect(text.trim(), name).not.toBe('');
    expect(holes(japanese.get(name) ?? ''), name).toEqual(holes(text));
    expect(text, name).not.toMatch(/[ぁ-んァ-ン一-龠]/);
  }
  // Text that is the same in both languages is a proper name, and there are few of those.
  const same = [...english].filter(([name, text]) => japanese.get(name) === text && /[a-z]{4}/i.test(text));
  expect(same.map(([name]) => name)).toEqual([]);
});

test('every word that a page uses exists, and no page contains text of its own', () => {
  const said: string[] = [];
  for (const file of files) {
    const text = readFileSync(join(source, file), 'utf8');
    const own = /useTranslation\('(\w+)'\)/.exec(text)?.[1] ?? 'shell';
    for (const [, name = ''] of text.matchAll(/\bt\('([\w:.]+)'/g))
      said.push(name.includes(':') ? name : `${own}:${name}`);
    // Visible text between tags would be in one language only.
    const bare = [...text.matchAll(/>\s*([A-Za-z][a-z]{2,}[^<>{}=;()]*?)\s*<\//g)].map(([, words = '']) =>
      words.trim(),
    );
    expect(
      bare.filter((words) => words !== 'Sekisho'),
      file,
    ).toEqual([]);
  }
  const there = new Set(
    Object.entries(all).flatMap(([space, { en }]) =>
      [...pluralless(flat(en)).keys()].map((name) => `${space}:${name}`),
    ),
  );
  expect(said.filter((name) => !there.has(name))).toEqual([]);
});

test('every setting that can be changed at run time, its group, its choices and its unit have their words', () => {
  const { names, groups, choices, units } = settings.en;
  const table = Object.values(liveSettings);
  const known = new Set([...table.map(({ name }) => name), ...Object.keys(firstRegistration)]);
  expect(Object.keys(names).toSorted()).toEqual([...known].toSorted());
  expect(Object.keys(groups)).toEqual([...liveGroups, 'registration']);
  const offered = table.flatMap(({ schema }) => (schema instanceof z.ZodEnum ? schema.options.map(String) : []));
  expect(Object.keys(choices).toSorted()).toEqual([...new Set(offered)].toSorted());
  const figures = table.flatMap(({ fallback, unit }) => (typeof fallback === 'number' ? [unit] : []));
  expect(figures.filter((unit) => !Object.keys(units).includes(unit))).toEqual([]);
});

test('every plan term, window, step, measure and outcome has its words', () => {
  const limit = Object.keys(member.en.limit);
  expect([...Object.keys(measures), ...windowNames].filter((name) => !limit.includes(name))).toEqual([]);
  expect(Object.keys(policy.en.terms)).toEqual([...termNames]);
  expect(Object.keys(policy.en.rules.measure).toSorted()).toEqual([...ruleMeasures].toSorted());
  expect(Object.keys(policy.en.rules.steps)).toEqual([...steps]);
  expect(Object.keys(operator.en.suspensions.steps)).toEqual([...steps]);
  expect(Object.keys(member.en.standing.step)).toEqual([...steps]);
  expect(Object.keys(serving.en.servers.states)).toEqual([...serverStates]);
  expect(Object.keys(log.en.requests.outcomes)).toEqual([...outcomes]);
});

test('every route of the management API says in Japanese what it does (portal/src/words/routes.ts)', () => {
  expect(Object.keys(routesInJapanese).toSorted()).toEqual(endpoints.map(({ name }) => name).toSorted());
});
