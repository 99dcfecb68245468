#!/usr/bin/env node
// The `sekisho` command. `serve` runs as long as the gateway does, so it loads only the gateway; every other command loads the rest.
import process from 'node:process';

/** As package.json says, of which npm only warns. */
const leastNode = 24;

const [, , ...words] = process.argv;
const isServe = words.length === 1 && words[0] === 'serve';
const { node } = process.versions;
if (Number.parseInt(node, 10) < leastNode) {
  process.stderr.write(`Sekisho needs Node.js ${leastNode} or newer, and this is ${node}.\n`);
  process.exitCode = 1;
} else if (isServe) void import('./main.ts').then(({ runGate }) => runGate());
else void import('./run-command.ts').then(({ runCommand }) => runCommand());
