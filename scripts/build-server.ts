// Builds dist/: the gateway, the command and the packages that they load, in a few dozen files, because that takes a quarter less
// memory than a thousand modules (docs/decisions/0038). If no source has changed since the last build, it does nothing, at once.
// `node scripts/build-server.ts DIRECTORY` builds there, in any case.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { OutputChunk, Plugin } from 'rolldown';
import { keepFiles } from './kept-files.ts';
import { licenseFile, licensesOf } from './licenses.ts';
import { renew } from './renewed-build.ts';

const root = join(import.meta.dirname, '..');

/** Native code, which finds its own files, and an optional part of `pg` that we do not install. */
const external = ['better-sqlite3', 'pg-native'];

/** Modules of the bundle that are no files. */
const virtual: Readonly<Record<string, string>> = {
  // Its main module also loads a second client, mocks and caches, for 2 MB. A dynamic import gets all of it.
  undici: `import api from 'undici/lib/api/index.js';
    import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
    Object.assign(Dispatcher.prototype, api);
    export { default as buildConnector } from 'undici/lib/core/connect.js';
    export { default as Client } from 'undici/lib/dispatcher/client.js';
    export { default as Pool } from 'undici/lib/dispatcher/pool.js';`,
  'settings-yaml': `export { parse } from 'yaml';`,
};

const virtualModules: Plugin = {
  name: 'virtual-modules',
  resolveId: {
    filter: { id: /^(?:undici|settings-yaml)$/ },
    handler: (id, _, { kind }) => (kind === 'dynamic-import' ? null : `\0${id}`),
  },
  load: {
    filter: { id: /^\0(?:undici|settings-yaml)$/ },
    handler: (id) => ({ moduleType: 'js', code: virtual[id.slice(1)] ?? '' }),
  },
};

/** Settings are read synchronously, so their file's parser cannot be imported on demand; it is an entry of its own. */
const requiredYaml: Plugin = {
  name: 'required-yaml',
  transform: {
    filter: { id: /src\/settings\/config\.ts$/ },
    handler(code) {
      const [here, there] = ["createRequire(import.meta.url)('yaml')", "createRequire(import.meta.url)('./yaml.js')"];
      if (!code.includes(here)) this.error(`config.ts has no ${here}`);
      return { code: code.replace(here, there), map: null };
    },
  },
};

const isPackage = ({ moduleIds }: OutputChunk): boolean => moduleIds.every((id) => !id.startsWith(join(root, 'src')));

const asEscape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

const finish: Plugin = {
  name: 'finish',
  generateBundle(_, bundle) {
    const chunks = Object.values(bundle).filter((part) => part.type === 'chunk');
    for (const chunk of chunks) {
      // V8 keeps a text with one character beyond Latin-1 in two bytes for each.
      chunk.code = chunk.code.replaceAll(/[\u0100-\uffff]/g, asEscape);
      // The files are readable, so only our own need the way back to their sources, and no copy of these.
      if (isPackage(chunk)) delete bundle[`${chunk.fileName}.map`];
    }
    const texts = licensesOf(chunks.flatMap(({ moduleIds }) => moduleIds));
    this.emitFile({ type: 'asset', fileName: 'licenses.txt', source: licenseFile(texts) });
    this.emitFile({ type: 'asset', fileName: 'package.json', source: '{ "type": "commonjs" }\n' });
  },
};

/**
 * V8 reads a file whole, and the memory for that grows with its size and stays. Parts that are loaded at different times are in
 * different files in any case.
 */
const groups = [
  ...['undici', 'kysely', 'zod'].map((name) => ({ name, test: new RegExp(`/node_modules/${name}/`) })),
  { name: 'packages', test: /\/node_modules\// },
  { name: 'store', test: /\/src\/(?:store|domain)\// },
  { name: 'gateway', test: /\/src\/(?:gateway|upstream)\// },
  { name: 'management', test: /\/src\/management\// },
].map((group) => ({ ...group, entriesAware: true }));

async function build(directory: string): Promise<void> {
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({
    cwd: root,
    input: { cli: 'src/cli.ts', 'ledger-program': 'src/store/sqlite/ledger-program.ts', yaml: 'settings-yaml' },
    platform: 'node',
    external,
    plugins: [virtualModules, requiredYaml, finish],
    transform: { define: { 'import.meta.main': 'false' } },
  });
  await bundle.write({
    dir: directory,
    // Importing node:http into an ES module loads Node's own fetch, for 6 MB.
    format: 'cjs',
    strict: true,
    exports: 'named',
    sourcemap: 'hidden',
    sourcemapExcludeSources: true,
    entryFileNames: '[name].js',
    chunkFileNames: ({ name }) => `${name.split('~')[0]}-[hash].js`,
    codeSplitting: { groups },
  });
  await bundle.close();
}

function madeFrom(): string {
  const names = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const sources = names.filter((name) => /(?<!\.test)\.ts$/.test(name)).map((name) => join('src', name));
  const hash = createHash('sha256');
  for (const name of [...sources.toSorted(), 'scripts/build-server.ts', 'scripts/licenses.ts', 'package-lock.json'])
    hash.update(`${name}\n`).update(readFileSync(join(root, name)));
  return hash.digest('hex');
}

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  const dist = join(root, 'dist');
  await renew(dist, madeFrom(), 'the gateway', async (made) => {
    await build(made);
    keepFiles(dist, made);
  });
} else {
  rmSync(directory, { recursive: true, force: true });
  await build(resolve(directory));
}
