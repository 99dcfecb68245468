#!/usr/bin/env node
// The `sekisho` command. `serve` runs as long as the gateway does, so it loads only the gateway; every other command loads the rest.
import process from 'node:process';

const [, , ...words] = process.argv;
const isServe = words.length === 1 && words[0] === 'serve';
if (isServe) void import('./main.ts').then(({ runGate }) => runGate());
else void import('./run-command.ts').then(({ runCommand }) => runCommand());
