// Makes the published dist/ and portal/dist/: JavaScript, declarations and the pages, without tests.
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import process from 'node:process';

rmSync('dist', { recursive: true, force: true });
execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
chmodSync('dist/cli.js', 0o755);
execFileSync(process.execPath, ['scripts/build-portal.ts'], { stdio: 'inherit' });
