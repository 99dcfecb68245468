// JSON with comments, and with commas before a closing bracket, as editors write it (JSONC).

// A comment ends at the first end that it has: one that may reach further makes the time double with each that follows a comma.
const tokens =
  /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\/|,(?=\s*(?:\/\/[^\n]*\n\s*|\/\*(?:[^*]|\*(?!\/))*\*\/\s*)*[}\]])/g;

/** @throws SyntaxError with the place of the first fault. */
export function parseJsonc(text: string): unknown {
  // Comments become spaces, so that the place in a message is the place in the file.
  return JSON.parse(
    text
      .replace(/^\uFEFF/, ' ')
      .replaceAll(tokens, (token) => (token.startsWith('"') ? token : token.replaceAll(/[^\n]/g, ' '))),
  ) as unknown;
}
