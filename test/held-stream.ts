// A stream of the fake model server that sends its first piece at once and the rest when the test releases it.
import type { FakeOllama } from './fake-ollama/fake-ollama.ts';

/** Prepares the answer to the next call; returns the function that lets it finish. */
export function holdStream(fake: FakeOllama): () => void {
  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  fake.next(async (_, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    await answer.chunk('{"message":{"content":"a"},"done":false}\n');
    await held;
    await answer.chunk('{"done":true,"prompt_eval_count":3,"eval_count":1}\n');
    answer.end();
  });
  return release;
}
