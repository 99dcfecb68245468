// Any server of which only OpenAI's list of models is known.
import { absent, type Imitation } from './imitation.ts';

const list = JSON.stringify({
  object: 'list',
  data: [{ id: 'some-model', object: 'model', created: 1_700_000_000, owned_by: 'somebody' }],
});

export const plainOpenai: Imitation = {
  missing: '{"error":{"message":"Not Found"}}',
  answer({ method, url }, { health }) {
    if (health === 'loading') return absent;
    return `${method} ${url}` === 'GET /v1/models' ? { body: list } : undefined;
  },
};
