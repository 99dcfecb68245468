// The allowed imports between rooms: one direction, type imports included, no circles, no barrels.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const source = join(import.meta.dirname, '../../src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
);
const imports = new Map(
  files.map((file) => {
    const text = readFileSync(join(source, file), 'utf8');
    const found = [...text.matchAll(/^(?:import|export)\s[^;]*?from '(\.[^']+)';|^import '(\.[^']+)';/gm)];
    return [
      file,
      found.map((match) => relative(source, join(source, dirname(file), match[1] ?? match[2] ?? ''))),
    ] as const;
  }),
);
const roomOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : file);

/** Rooms that a room may import, beside itself. */
const arrows: Record<string, readonly string[]> = {
  domain: [],
  settings: ['domain'],
  store: ['domain'],
  observe: ['domain'],
  upstream: ['domain', 'one-write.ts'],
  gateway: ['domain', 'upstream', 'store', 'observe'],
  management: ['domain', 'settings', 'store', 'observe', 'secret-file.ts'],
  jobs: ['domain', 'upstream', 'store', 'observe'],
  tls: ['domain', 'store', 'durable-file.ts'],
  'secret-file.ts': ['durable-file.ts'],
  'durable-file.ts': [],
  'one-write.ts': [],
  'package.ts': [],
  listener: ['gateway', 'management', 'domain', 'tls', 'observe', 'one-write.ts'],
  compose: [
    'settings',
    'domain',
    'store',
    'observe',
    'upstream',
    'gateway',
    'management',
    'jobs',
    'listener',
    'tls',
    'secret-file.ts',
    'package.ts',
  ],
  'main.ts': ['compose', 'settings', 'observe', 'secret-file.ts', 'listener', 'store', 'tls', 'upstream'],
  commands: ['settings', 'domain', 'store', 'management', 'package.ts'],
  // Both load main.ts on demand.
  'cli.ts': [],
  'run-command.ts': ['domain', 'settings', 'commands', 'store'],
};

test('every room is in the plan, and every import follows it', () => {
  expect([...new Set(files.map(roomOf))].toSorted()).toEqual(Object.keys(arrows).toSorted());
  const wrong = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => roomOf(target) !== roomOf(file) && !arrows[roomOf(file)]!.includes(roomOf(target)))
      .map((target) => `${file} → ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('the planes use the store only through its ports, and only composition roots name an adapter', () => {
  const wrong = [...imports].flatMap(([file, targets]) =>
    targets
      .filter(
        (target) =>
          target.startsWith('store/') &&
          !target.startsWith('store/ports/') &&
          file !== 'commands/context.ts' &&
          !['store', 'compose', 'main.ts', 'run-command.ts'].includes(roomOf(file)),
      )
      .map((target) => `${file} → ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('a database is a folder: ports and shared queries import none, and no database imports another', () => {
  const parts: Record<string, readonly string[]> = {
    ports: [],
    relational: ['ports', 'ledger'],
    ledger: ['ports', 'relational'],
    sqlite: ['ports', 'relational', 'ledger'],
    postgres: ['ports', 'relational', 'ledger'],
    // While Redis is away, a gate serves its share of the turns in memory.
    redis: ['ports', 'memory'],
    memory: ['ports'],
  };
  const partOf = (file: string): string => /^store\/(\w+)\//.exec(file)?.[1] ?? '';
  const wrong = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => partOf(file) !== '' && partOf(target) !== '' && partOf(file) !== partOf(target))
      .filter((target) => !parts[partOf(file)]?.includes(partOf(target)))
      .map((target) => `${file} → ${target}`),
  );
  expect(wrong).toEqual([]);
  const there = new Set(files.map(partOf).filter((part) => part !== ''));
  expect([...there].toSorted()).toEqual(Object.keys(parts).toSorted());
});

test('periodic work that writes has no store, only what the lease of the upkeep hands out', () => {
  const jobs = files.filter((file) => file.startsWith('jobs/'));
  const ofUpkeep = jobs.filter(
    (file) => file !== 'jobs/upkeep.ts' && /: UpkeepJob\b/.test(readFileSync(join(source, file), 'utf8')),
  );
  expect(ofUpkeep.length).toBeGreaterThan(3);
  for (const file of ofUpkeep) {
    const text = readFileSync(join(source, file), 'utf8');
    expect(text, file).not.toMatch(/\b(?:every|setInterval|setTimeout)\(/);
    // Reading functions alone, by name.
    for (const [, taken] of text.matchAll(/(?:reads|store): Pick<Store, ([^>]+)>/g))
      expect(taken, file).toMatch(/^(?:'(?:read|list|endPull)\w*'(?: \| )?)+$/);
  }
  // Everything else with a timer writes nothing, or only what belongs to this gate.
  const timed = jobs.filter((file) =>
    /\b(?:every|setInterval|setTimeout)\(/.test(readFileSync(join(source, file), 'utf8')),
  );
  expect(timed.toSorted()).toEqual([
    'jobs/clock-watch.ts',
    'jobs/every.ts',
    'jobs/loop-watch.ts',
    'jobs/refusal-memory.ts',
    // Writes the registration of its own gate.
    'jobs/show-gates.ts',
    'jobs/store-watch.ts',
    'jobs/stored-routes.ts',
    'jobs/upkeep.ts',
  ]);
});

test('imports have no circles', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    expect(path, `a circle through ${file}`).not.toContain(file);
    if (done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(done.size).toBe(files.length);
});

test('no file is a catch-all or a barrel, none exceeds 400 lines, and each opens with a comment', () => {
  for (const file of files) {
    expect(file).not.toMatch(/(^|\/)(utils?|helpers?|common|types|index)(\.ts|\/)/);
    const lines = readFileSync(join(source, file), 'utf8').split('\n');
    expect(lines.length, file).toBeLessThanOrEqual(400);
    expect(lines[0]!.startsWith('//') || lines[0]!.startsWith('#!'), `${file} opens with its one job`).toBe(true);
  }
});

test('no name is a Manager, Service, Helper or Factory', () => {
  for (const file of files)
    expect(readFileSync(join(source, file), 'utf8')).not.toMatch(
      /\b(class|interface|function|const) \w*(Manager|Service|Helper|Factory)\b/,
    );
});

test('a linter rule that is disabled at a line has its reason beside it', () => {
  const unsaid = files.flatMap((file) =>
    readFileSync(join(source, file), 'utf8')
      .split('\n')
      .filter((line) => /\b(oxlint|eslint)-disable/.test(line) && !/ -- \S+ \S+/.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(unsaid).toEqual([]);
});

test('the pages import only packages that package.json names', () => {
  const root = join(source, '..');
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >;
  const named = { ...dependencies, ...devDependencies };
  const pages = readdirSync(join(root, 'portal/src'), { recursive: true, encoding: 'utf8' });
  const missing = pages
    .filter((name) => /\.tsx?$/.test(name))
    .flatMap((name) => {
      // Without the programs that a page shows.
      const text = readFileSync(join(root, 'portal/src', name), 'utf8').replaceAll(/`[^`]*`/g, '');
      const found = [...text.matchAll(/^(?:import|} from)\b[^'`;]*'((?:@[\w-]+\/)?[a-z][\w-]*)[^'`]*';$/gm)];
      return found
        .filter(([, known = '']) => !Object.hasOwn(named, known))
        .map(([, known = '']) => `${name} → ${known} (icons are in portal/src/icons.ts)`);
    });
  expect(missing).toEqual([]);
});
