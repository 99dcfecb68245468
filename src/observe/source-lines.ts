// Names the sources of the places in a stack. The built program consists of a few files, with their maps beside them; a map is read
// when a stack first needs it, so that it takes no memory before. Stacks of the sources themselves stay as they are.
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';

const maps = new Map<string, SourceMap | undefined>();

/** `at run (…/dist/main-1a2b.js:12:3)` becomes `at run (src/main.ts:45:7)`. */
export function withSources(stack: string): string {
  return stack.replaceAll(/([^\s()]+\.js):(\d+):(\d+)/g, (place, path: string, line: string, column: string) => {
    if (dirname(path) !== import.meta.dirname) return place;
    const origin = mapOf(path)?.findOrigin(Number(line), Number(column));
    if (!origin || !('fileName' in origin)) return place;
    const source = relative(join(import.meta.dirname, '..'), resolve(import.meta.dirname, origin.fileName));
    return `${source}:${origin.lineNumber}:${origin.columnNumber}`;
  });
}

function mapOf(path: string): SourceMap | undefined {
  const name = basename(path);
  if (!maps.has(name)) {
    const file = `${path}.map`;
    const payload = existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload);
    maps.set(name, payload ? new SourceMap(payload) : undefined);
  }
  return maps.get(name);
}
