// The catalogue of hostile inputs and faults, and the supply chain. Every number of the catalogue begins a test's name, or
// is listed in the threat model with the reason why it has no test.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const counts = { U: 54, P: 27, S: 12, H: 14, A: 18 };
const all = Object.entries(counts).flatMap(([kind, count]) =>
  Array.from({ length: count }, (_, at) => `${kind}${at + 1}`),
);

const tested = new Set(
  globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root, exclude: ['**/node_modules/**'] })
    .filter((file) => !file.includes('house'))
    .flatMap((file) => readFileSync(join(root, file), 'utf8').match(/['"`](?:[UPSHA]\d{1,2}(?:, )?)+: /g) ?? [])
    .flatMap((title) => title.match(/[UPSHA]\d+/g) ?? []),
);
const excused = new Set(
  Array.from(
    readFileSync(join(root, 'docs/threat-model.md'), 'utf8').matchAll(/^\| ([UPSHA]\d+) /gm),
    ([, id]) => id as string,
  ),
);

test('every case of the catalogue has a test or a reason, and none has both', () => {
  expect(all).toHaveLength(125);
  expect(all.filter((id) => !tested.has(id) && !excused.has(id))).toEqual([]);
  expect(all.filter((id) => tested.has(id) && excused.has(id))).toEqual([]);
  expect([...tested, ...excused].filter((id) => !all.includes(id))).toEqual([]);
});

test('every runtime package is listed with its integrity, and only named packages run install scripts', () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<
      string,
      {
        dev?: boolean;
        optional?: boolean;
        integrity?: string;
        hasInstallScript?: boolean;
        libc?: string[];
        gypfile?: boolean;
      }
    >;
  };
  const { allowScripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { allowScripts: object };
  const entries = Object.entries(lock.packages).filter(([path]) => path !== '');
  const running = entries.filter(([, { dev, optional }]) => dev !== true && optional !== true);
  expect(running.length).toBeGreaterThan(50);
  expect(running.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
  const scripted = entries.filter(([, { hasInstallScript }]) => hasInstallScript === true);
  // npm would compile it, which needs Python, although its binaries are in the package.
  expect(lock.packages['node_modules/better-sqlite3']?.gypfile).toBe(false);
  const musl = entries.filter(([path]) => path.includes('musl'));
  expect(musl.length).toBeGreaterThan(0);
  for (const [path, { libc }] of musl)
    expect(libc, `${path} would be installed beside its twin for glibc`).toEqual(['musl']);
  expect(scripted.map(([path]) => path.replace('node_modules/', '')).toSorted()).toEqual(
    Object.keys(allowScripts).toSorted(),
  );
  const bom = JSON.parse(execFileSync('npm', ['run', '-s', 'sbom'], { cwd: root, encoding: 'utf8' })) as {
    bomFormat: string;
    components: { name: string; hashes?: unknown[] }[];
  };
  expect(bom.bomFormat).toBe('CycloneDX');
  expect(bom.components.length).toBeGreaterThan(50);
  expect(bom.components.filter(({ hashes }) => hashes === undefined)).toEqual([]);
  expect(bom.components.map(({ name }) => name)).not.toContain('vitest');
});

test('every requirement names existing files, and existing tests in each of them', () => {
  const text = readFileSync(join(root, 'docs/security-requirements.md'), 'utf8');
  const rows = Array.from(text.matchAll(/^\| ([A-Z]+)-(\d+) +\|([^|]+)\|([^|]+)\|/gm));
  const count = (kind: string): number => rows.filter(([, found]) => found === kind).length;
  const wanted = { KEY: 21, PATH: 8, HDR: 3, INJ: 6, SSRF: 5, ADM: 5, BODY: 6, HTTP: 24, LIM: 13, TLS: 9, PORT: 12 };
  for (const [kind, many] of Object.entries(wanted)) expect(count(kind), kind).toBe(many);
  const named = new Map(
    Array.from(
      (text.split('## The tests by name')[1] ?? '').matchAll(/^- ([A-Z]+-\d+): (.+)$/gm),
      ([, id = '', names = '']) => [id, Array.from(names.matchAll(/“([^”]+)”/g), ([, name]) => name as string)],
    ),
  );
  expect([...named.keys()]).toEqual(rows.map(([, kind, number]) => `${kind}-${number}`));
  const faults = rows.flatMap(([, kind, number, , cell = '']) => {
    const names = named.get(`${kind}-${number}`) ?? [];
    const files = Array.from(cell.matchAll(/`([^`]+)`/g), ([, file]) => file as string);
    const held = files.map((file) => ({ file, titles: existsSync(join(root, file)) ? titlesIn(file) : [] }));
    const holds = (titles: readonly string[], name: string): boolean => titles.some((title) => title.includes(name));
    return [
      ...held.filter(({ titles }) => !names.some((name) => holds(titles, name))).map(({ file }) => file),
      ...names.filter((name) => !held.some(({ titles }) => holds(titles, name))),
    ].map((fault) => `${kind}-${number}: ${fault}`);
  });
  expect(faults).toEqual([]);
});

test('every bound in the threat model names existing tests that hold it', () => {
  const text = readFileSync(join(root, 'docs/threat-model.md'), 'utf8').split('## Bounds')[1]?.split('\n## ')[0] ?? '';
  const rows = text.split('\n').filter((line) => /^\| (?!What |-)/.test(line));
  expect(rows.length).toBeGreaterThan(15);
  for (const row of rows) {
    const named = Array.from(row.matchAll(/`((?:src|test)\/[^`]+)`([^`]*)/g));
    expect(named.length, row).toBeGreaterThan(0);
    for (const [, file = '', names = ''] of named) {
      const titles = titlesIn(file);
      expect(titles.length, file).toBeGreaterThan(0);
      for (const [, name = ''] of names.matchAll(/“([^”]+)”/g))
        expect(
          titles.some((title) => title.includes(name)),
          `${file}: ${name}`,
        ).toBe(true);
    }
  }
});

/** The names of a file's tests and groups. */
function titlesIn(file: string): string[] {
  // The beginning of a call of test or describe, or of a call of what their `each` returns.
  const call = /(?:\b(?:test|describe)|\))\s*\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1\s*,/g;
  return Array.from(readFileSync(join(root, file), 'utf8').matchAll(call), ([, , title]) =>
    (title as string).replaceAll("\\'", "'"),
  );
}
