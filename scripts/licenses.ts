// The licenses of what a bundle contains. Most ask for their text beside the code.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Name, version and license text of the package of each of these files that is one of a package, once, by path. */
export function licensesOf(files: Iterable<string>): string[] {
  const folders = new Set<string>();
  for (const file of files) {
    const [, folder] = /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
    if (folder !== undefined) folders.add(folder);
  }
  return [...folders].toSorted().map(licenseOf);
}

/** The texts as one file. */
export const licenseFile = (texts: readonly string[]): string => `${texts.join(`\n\n${'-'.repeat(72)}\n\n`)}\n`;

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: string;
  };
  const file = readdirSync(folder).find((each) => /^licen[cs]e(?:[.-]|$)/i.test(each));
  const text =
    file === undefined ? `License: ${license ?? 'unknown'}` : readFileSync(join(folder, file), 'utf8').trim();
  return `${name} ${version}\n\n${text}`;
}
