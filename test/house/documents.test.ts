// The documents agree with the program: compared in both directions, so that neither can change without the other.
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { errorCodes, registry } from '../../src/domain/error.ts';
import { japanese } from '../../src/domain/error-japanese.ts';
import { firstPlans, type Terms, termNames, terms } from '../../src/domain/plan.ts';
import { firstRules, stepMeanings, steps } from '../../src/domain/rule.ts';
import { defaultScopes, parseScopes, type Scope, scopes } from '../../src/domain/scope.ts';
import { operations } from '../../src/gateway/operation.ts';
import { endpoints } from '../../src/management/endpoints.ts';
import { paces } from '../../src/management/http/pace.ts';
import { problemSchema } from '../../src/management/http/problem.ts';
import { problemCodes, statusOf, titleOf } from '../../src/management/http/problem-codes.ts';
import { newKeySchema } from '../../src/management/keys/schemas.ts';
import { settings } from '../../src/settings/settings.ts';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
/** The rows of a document's tables whose first cell is code. */
const rows = (name: string): string[][] =>
  read(name)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    );
const code = (cell: string): string => cell.replaceAll('`', '');

/** Every document that is published. */
const documents = [
  'README.md',
  'README.ja.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'bench/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

test('docs/errors.md lists exactly the codes of the registry, with status, owner and both sentences', () => {
  const listed = rows('docs/errors.md').map(([name = '', status, ...rest]) => [code(name), Number(status), ...rest]);
  expect(listed).toEqual(
    errorCodes.map((name) => [
      name,
      registry[name].status,
      registry[name].owner,
      registry[name].message,
      japanese[name],
    ]),
  );
});

test('docs/management-api.md lists exactly the codes of problems, with their status and both titles', () => {
  const listed = rows('docs/management-api.md').map(([name = '', status, ...titles]) => [
    code(name),
    Number(status),
    ...titles,
  ]);
  expect(listed).toEqual(problemCodes.map((name) => [name, statusOf(name), titleOf(name, 'en'), titleOf(name, 'ja')]));
});

test('every error code and every problem of the management API has a sentence in English and in Japanese', () => {
  const sentences = [
    ...errorCodes.map((name) => [name, registry[name].message, japanese[name]] as const),
    ...problemCodes.map((name) => [name, titleOf(name, 'en'), titleOf(name, 'ja')] as const),
  ];
  for (const [name, english, inJapanese] of sentences) {
    expect(english, name).toMatch(/^[\x20-\x7e]{3,}$/);
    expect(inJapanese, name).toMatch(/[ぁ-んァ-ン一-龠].*。$/);
    // Internal words that a caller does not know.
    expect(english, name).not.toMatch(/\b(he|his|him|nobody|whoever|alone|gate)\b/i);
  }
});

test('docs/configuration.md lists exactly the settings, with their defaults and units, and which can change at run time', () => {
  const shown = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value));
  const listed = rows('docs/configuration.md').map(([name = '', fallback = '', unit, meaning, atRunTime]) => [
    code(name),
    code(fallback),
    unit,
    meaning,
    atRunTime === 'yes',
  ]);
  expect(listed).toEqual(
    Object.values(settings).map((setting) => [
      setting.name,
      shown(setting.fallback),
      setting.unit,
      setting.meaning,
      'group' in setting,
    ]),
  );
});

test('docs/plans.md lists exactly the terms of a plan, and what the first plans say', () => {
  const listed = rows('docs/plans.md').map(([name = '', unit, meaning, narrows]) => [
    code(name),
    unit,
    meaning,
    narrows === 'yes',
  ]);
  expect(listed).toEqual(termNames.map((name) => [name, terms[name].unit, terms[name].meaning, terms[name].narrows]));
  for (const page of ['docs/plans.md', 'docs/ja/plans.md']) {
    const plans = read(page)
      .split('\n')
      .flatMap((line) => {
        const [name = '', ...values] = line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim());
        return termNames.some((term) => term === name) ? [[name, ...values]] : [];
      });
    expect(plans.length).toBeGreaterThan(15);
    for (const [name, ...values] of plans)
      expect(values, name).toEqual(firstPlans.map((plan) => String(plan[name as keyof Terms] ?? 'none')));
  }
});

test('docs/ladder.md lists exactly the steps and the first rules', () => {
  const listed = rows('docs/ladder.md').map((cells) => cells.map(code));
  expect(listed).toEqual([
    ...steps.map((step) => [step, stepMeanings[step]]),
    ...firstRules.map((rule) => [
      rule.name,
      rule.per,
      `${rule.threshold} ${rule.measure}`,
      `${rule.windowSeconds} s`,
      rule.step,
      rule.durationSeconds === null ? '' : `${rule.durationSeconds} s`,
    ]),
  ]);
});

test('docs/routes.md lists exactly the operations, with their methods and scopes', () => {
  const listed = rows('docs/routes.md')
    .filter(([path = '']) => path.startsWith('`/'))
    .map(([path = '', methods, scope = '']) => [code(path), methods, code(scope)]);
  expect(listed).toEqual(operations.map((operation) => [operation.path, operation.methods.join(' '), operation.scope]));
});

test('docs/keys.md lists every scope once, its short form, and whether a new key has it', () => {
  for (const page of ['docs/keys.md', 'docs/ja/keys.md']) {
    const table = rows(page).filter(([cell = '']) => scopes.some((scope) => cell.includes(`\`${scope}\``)));
    const listed = table.map(([cell = '', allows = '', isNew = '']) => {
      const [names = '', short = /（|\(/.exec(allows) ? allows : ''] = cell.split(/ ?[（(]/);
      const quoted = (text: string): string[] => Array.from(text.matchAll(/`([^`]+)`/g), ([, name = '']) => name);
      return { names: quoted(names), short: quoted(short)[0], isNew: isNew !== '' };
    });
    expect(listed.flatMap(({ names }) => names).toSorted()).toEqual(scopes.toSorted());
    for (const { names, short, isNew } of listed) {
      if (short !== undefined) expect(parseScopes([short])).toEqual(names);
      for (const name of names) expect([name, isNew]).toEqual([name, defaultScopes.includes(name as Scope)]);
    }
  }
});

test('docs/keys.md names every scope, and the tree of CONTRIBUTING.md names only existing paths', () => {
  const keys = read('docs/keys.md');
  for (const scope of scopes) expect(keys).toContain(`\`${scope}\``);
  const tree = /```text\n([\s\S]*?)```/.exec(read('CONTRIBUTING.md'))?.[1] ?? '';
  const paths = tree.split('\n').flatMap((line) => /^([\w./-]+) {2,}\S/.exec(line)?.[1] ?? []);
  expect(paths.length).toBeGreaterThan(10);
  for (const path of paths) expect(existsSync(join(root, path)), path).toBe(true);
  for (const entry of readdirSync(join(root, 'src'), { withFileTypes: true }))
    expect(paths).toContain(`src/${entry.name}${entry.isDirectory() ? '/' : ''}`);
});

test('every runtime dependency has a line that says why it is there', () => {
  const dependencies = Object.keys((JSON.parse(read('package.json')) as { dependencies: object }).dependencies);
  expect(
    rows('docs/dependencies.md')
      .map(([name = '']) => code(name))
      .toSorted(),
  ).toEqual(dependencies.toSorted());
});

/** The anchor of a heading, as GitHub makes it. */
const anchorsOf = (document: string): string[] =>
  Array.from(read(document).matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

test('the stages of docs/request-flow.md name existing files', () => {
  const files = Array.from(read('docs/request-flow.md').matchAll(/^\| [a-z ]+ \| ([a-z/., -]+\.ts) +\|/gm)).flatMap(
    ([, cell = '']) => cell.split(', '),
  );
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => !existsSync(join(root, 'src/gateway', file)))).toEqual([]);
});

test('decisions are numbered in order, and each begins with its number', () => {
  const names = readdirSync(join(root, 'docs/decisions')).toSorted();
  expect(names.map((name) => Number(name.slice(0, 4)))).toEqual(names.map((_, at) => at + 1));
  for (const name of names)
    expect(read(`docs/decisions/${name}`)).toMatch(new RegExp(`^# ${Number(name.slice(0, 4))}\\. `));
});

test('links between the documents lead to an existing file and heading', () => {
  for (const document of documents) {
    for (const [, path = '', anchor] of read(document).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const target = path === '' ? document : join(document, '..', path);
      expect(existsSync(join(root, target)), `${document} → ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(target), `${document} → ${target}`).toContain(anchor);
    }
  }
});

test('every picture in docs/screenshots is shown by a document', () => {
  const shown = documents.flatMap((name) => read(name).match(/(?<=screenshots\/)[\w-]+\.png/g) ?? []);
  expect(readdirSync(join(root, 'docs/screenshots')).filter((name) => !shown.includes(name))).toEqual([]);
});

test('the table of contents lists every page of docs/ once, every decision by its title, and README.md links to it', () => {
  const contents = read('docs/README.md');
  const listed = Array.from(
    contents.matchAll(/^(?:-|\d+\.) \[([^\]]+)\]\(([^)]+)\)/gm),
    ([, title = '', path = '']) => ({
      title,
      path,
    }),
  );
  const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.md') && name !== 'README.md',
  );
  const paths = listed.map(({ path }) => path).filter((path) => !path.startsWith('..'));
  expect(paths.toSorted()).toEqual(pages.toSorted());
  for (const { title, path } of listed)
    if (path.startsWith('decisions/'))
      expect(`# ${Number(path.slice(10, 14))}. ${title}`).toBe(read(`docs/${path}`).split('\n', 1)[0]);
  for (const name of ['README.md', 'README.ja.md']) expect(read(name)).toContain('](docs/README.md)');
});

/** The exports of every `schemas.ts` of the management plane, and the schema of a problem. */
const modules = await Promise.all(
  globSync('src/management/*/schemas.ts', { cwd: root }).map(
    (file) => import(pathToFileURL(join(root, file)).href) as Promise<Readonly<Record<string, unknown>>>,
  ),
);
const schemas = [...modules.flatMap((module) => Object.values(module)), problemSchema];

/** The named objects of the management API with their fields; a `?` marks an optional one. */
function fieldsOfSchemas(): string[] {
  const named = schemas.flatMap((schema) => {
    const id = schema instanceof z.ZodObject ? schema.meta()?.['id'] : undefined;
    if (!(schema instanceof z.ZodObject) || typeof id !== 'string') return [];
    const hasTerms = termNames.every((term) => term in schema.shape);
    const isTerm = (name: string): boolean => hasTerms && termNames.some((term) => term === name);
    const fields = Object.entries(schema.shape)
      .filter(([name]) => !isTerm(name))
      .map(([name, field]) => (z.safeParse(field as z.ZodType, undefined).success ? `\`${name}?\`` : `\`${name}\``));
    if (hasTerms) fields.push('the [terms](plans.md)');
    return [`\`${id}\`: ${fields.join(', ')}`];
  });
  return [...new Set(named)].toSorted();
}

test('docs/management-api.md names every object with its fields, and nothing else', () => {
  const text = read('docs/management-api.md');
  const listed = text
    .slice(text.indexOf('## Fields'))
    .split('\n- ')
    .slice(1)
    .map((item) => item.trim().replaceAll(/\s+/g, ' '));
  expect(listed).toEqual(fieldsOfSchemas());

  const rest = text.slice(0, text.indexOf('## Fields'));
  const known = new Set<string>([
    ...scopes,
    ...problemCodes,
    ...Object.values(settings).map(({ name }) => name),
    ...fieldsOfSchemas().flatMap((line) => [...line.matchAll(/`(\w+)\??`/g)].map(([, name]) => name as string)),
    'limit',
    'cursor',
    'next',
    'sekisho',
    'application/json',
    'title',
    'detail',
    'Accept-Language',
    'ETag',
    'If-Match',
    'Idempotency-Key',
    'Idempotency-Replayed: true',
    'Retry-After',
  ]);
  const paths = new Set(endpoints.flatMap(({ method, path }) => [path, `${method.toUpperCase()} ${path}`]));
  for (const [, word = ''] of rest.replaceAll(/```[^]*?```/g, '').matchAll(/`([^`]+)`/g)) {
    const path = word.replaceAll(/<(\w+)>/g, '{$1}');
    const served = word.startsWith('/management/v1');
    expect([word, served || known.has(word) || paths.has(path)]).toEqual([word, true]);
  }
  // The body of an example is valid for its row.
  const [, sent = ''] = /-d '(.*)'/.exec(rest) ?? [];
  expect(newKeySchema.safeParse(JSON.parse(sent)).success).toBe(true);
});

test('docs/management-api.md lists exactly the rate limits', () => {
  const table = read('docs/management-api.md').split('### Rate limits')[1]?.split('\n## ')[0] ?? '';
  const listed = Array.from(
    table.matchAll(/^\| (\w+)[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|$/gm),
    ([, name, ...figures]) => [name, ...figures.map(Number)],
  );
  // Strangers are told apart by their address only.
  expect(listed.slice(1)).toEqual(
    Object.entries(paces).map(([name, pace]) => [
      name,
      name === 'door' ? 0 : pace.each,
      pace.source,
      'atOnce' in pace ? pace.atOnce.each : 0,
    ]),
  );
});

test('docs/management-api.md names exactly what any working key may read', () => {
  const [, sentence = ''] =
    /^- Any working key may call ([^]*?) and may\s+appeal/m.exec(read('docs/management-api.md')) ?? [];
  const named = Array.from(sentence.matchAll(/`([^`]+)`/g), ([, path = '']) => path);
  const open = endpoints.filter(({ needs, method }) => needs === 'self' && method === 'get');
  // A path stands for those below it.
  const paths = new Set(open.map(({ path }) => path.split('/', 3).join('/')));
  expect(named.toSorted()).toEqual([...paths].toSorted());
});
