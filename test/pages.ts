// What tests of the pages begin with: a gateway with a model server, and a browser in which people look at it.
import { type Look, openBrowser, Reader } from './browser.ts';
import { startFakeOllama } from './fake-ollama/fake-ollama.ts';
import { openGate } from './gate.ts';
import type { Visitor } from './visitor.ts';

/** `environment`: of the gateway. `close` ends all three, and is for `afterAll`. */
export async function openPages(environment: Readonly<Record<string, string>> = {}) {
  const [fake, browser] = await Promise.all([startFakeOllama(), openBrowser()]);
  const gate = await openGate(fake.url, environment);
  return {
    fake,
    browser,
    gate,
    /** A browser of their own, in which the visitor is signed in. */
    readerOf: async (visitor: Visitor, look: Look = {}): Promise<Reader> => {
      const reader = await Reader.at(browser, gate.url, look);
      await reader.signInAs(visitor);
      return reader;
    },
    close: async (): Promise<void> => {
      await browser.close();
      await gate.stop();
      await fake.close();
    },
  };
}
