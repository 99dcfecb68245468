// fake-ollama as a program, for looking at the gate without a model:
//   node test/fake-ollama/serve.ts 11434
import process from 'node:process';
import { FakeOllama } from './fake-ollama.ts';

const fake = await new FakeOllama().listen(Number(process.argv[2] ?? 11434));
fake.pieceDelayMs = 40;
process.stdout.write(`fake-ollama answers at ${fake.url}\n`);
