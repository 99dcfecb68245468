// fake-ollama as a program, for trying the gate without a model:
//
//   node test/fake-ollama/serve.ts --port 11434
import process from 'node:process';
import { parseArgs } from 'node:util';
import { startFakeOllama } from './fake-ollama.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '11434' },
    host: { type: 'string', default: '127.0.0.1' },
    'piece-delay-ms': { type: 'string', default: '40' },
  },
});
const fake = await startFakeOllama({
  port: Number(values.port),
  host: values.host,
  pieceDelayMs: Number(values['piece-delay-ms']),
});
process.stdout.write(`fake-ollama answers at ${fake.url}\n`);
