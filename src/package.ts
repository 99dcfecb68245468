// This package: its version, and where its files are. It lies in the top directory, in src/ as well as in the built dist/.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = join(import.meta.dirname, '..');

export const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
  readonly version: string;
};

/** The built pages of the portal. */
export const pagesDirectory = join(directory, 'portal/dist');
