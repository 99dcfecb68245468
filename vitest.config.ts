import { defineConfig } from 'vitest/config';

// house: reads the sources and the documents. unit: stands beside its file in src/. wire: real sockets, real processes.
export default defineConfig({
  test: {
    // Long enough for a machine that is busy with something else; what a test waits for is an event.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'house', include: ['test/house/**/*.test.ts'] } },
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'] } },
      { extends: true, test: { name: 'wire', include: ['test/{contracts,fuzz,journeys,hostile}/**/*.test.ts'] } },
    ],
  },
});
