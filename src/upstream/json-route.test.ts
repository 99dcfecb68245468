import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readJson } from './json-route.ts';
import type { Reached } from './kind.ts';

test.each(['sk-secret-0123', 'Authorization: Bearer sk-secret-0123456789', '{"key":"sk-secret-0123456789",,}'])(
  'an answer %j that is not JSON is in no message, because a server can repeat the secret that it was shown',
  async (text) => {
    const dispatcher = {
      request: () => Promise.resolve({ statusCode: 200, headers: {}, body: Readable.from([Buffer.from(text)]) }),
    };
    const server = { dispatcher, basePath: '', credentials: { headers: [] } } as unknown as Reached;
    const error: unknown = await readJson(server, '/v1/models', AbortSignal.timeout(5_000), []).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ message: 'its answer is not JSON' });
    expect((error as Error).cause).toBeUndefined();
  },
);
