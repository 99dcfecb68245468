import { expect, test } from 'vitest';
import { chat } from './chat.ts';

function translate(keepAlive: unknown): void {
  const bytes = Buffer.from(
    JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x' }], keep_alive: keepAlive }),
  );
  const asked = { bytes, stream: false, usageInjected: false, model: 'm' };
  chat(asked, { contextOf: () => undefined, takes: { sampling: {} } });
}

test.each([5, -1, '5m', '1h30m', '300', '-1', '1.5s', '.5h', '100µs'])('a model may be kept for %j', (keepAlive) => {
  expect(() => translate(keepAlive)).not.toThrow();
});

test.each([0, '0', '0s', '0h0m', '0.0s', '-0m'])('%j would unload the model, and is refused', (keepAlive) => {
  expect(() => translate(keepAlive)).toThrow('keep_alive cannot unload a model there');
});

test.each(['banana', '', '5 m', 'm', '5m!', true, {}])('%j is no time', (keepAlive) => {
  expect(() => translate(keepAlive)).toThrow('keep_alive must be seconds');
});
