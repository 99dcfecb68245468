// The portal's build: hashed files under /portal/, nothing inline, and each text beside its compressed forms, so that the
// gate sends them as they lie.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { licenseFile, licensesOf } from '../scripts/licenses.ts';

/** What is added to the files of a build once they are written. `out`: where they are. */
const beside = (name: string, add: (out: string) => void): Plugin => {
  let out = '';
  return {
    name,
    apply: 'build',
    configResolved: ({ root, build }) => void (out = resolve(root, build.outDir)),
    closeBundle: () => add(out),
  };
};

/** The documents that pages link to ship with them. */
const documents = (): Plugin =>
  beside('documents-beside', (out) => {
    const from = join(import.meta.dirname, '../docs');
    for (const place of ['', 'ja']) {
      mkdirSync(join(out, 'docs', place), { recursive: true });
      for (const name of readdirSync(join(from, place)))
        if (name.endsWith('.md')) copyFileSync(join(from, place, name), join(out, 'docs', place, name));
    }
  });

const compress = (): Plugin =>
  beside('compressed-beside', (out) => {
    for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
      // The page itself differs with every answer: it carries the nonce.
      if (!/\.(js|css|svg|md|txt)$/.test(name)) continue;
      const bytes = readFileSync(join(out, name));
      if (bytes.length < 1024) continue;
      writeFileSync(join(out, `${name}.br`), brotliCompressSync(bytes));
      writeFileSync(join(out, `${name}.gz`), gzipSync(bytes, { level: 9 }));
    }
  });

/** Minifying drops the comments that carry them. */
const licenses = (): Plugin => ({
  name: 'licenses-beside',
  apply: 'build',
  generateBundle(_, bundle) {
    const files = Object.values(bundle).flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []));
    const own = readFileSync(join(import.meta.dirname, 'src/icons.ts'), 'utf8');
    const icons = (/\/\*! @license ([^]*?)\*\//.exec(own)?.[1] ?? '').replaceAll(/^ \* ?/gm, '');
    const source = licenseFile([icons.trim(), ...licensesOf(files)]);
    this.emitFile({ type: 'asset', fileName: 'licenses.txt', source });
  },
});

export default defineConfig({
  root: import.meta.dirname,
  base: '/portal/',
  plugins: [react(), documents(), licenses(), compress()],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    chunkSizeWarningLimit: 700,
  },
});
