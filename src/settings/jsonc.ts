// JSON with comments, and with commas before a closing bracket, as editors write it (JSONC).

const tokens = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=\s*(?:\/\/[^\n]*\n\s*|\/\*[\s\S]*?\*\/\s*)*[}\]])/g;

/** @throws SyntaxError with the place of the first fault. */
export function parseJsonc(text: string): unknown {
  // Comments become spaces, so that the place in a message is the place in the file.
  return JSON.parse(
    text.replaceAll(tokens, (token) => (token.startsWith('"') ? token : token.replaceAll(/[^\n]/g, ' '))),
  ) as unknown;
}
