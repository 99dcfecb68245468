// What other people wrote, inside a sentence or a row of facts: a name in Arabic or Hebrew does not change the order of what stands
// around it, so that “from A to B” never looks like “from B to A” (Unicode UAX #9, section 2.7). Elements isolate by themselves
// (shell.css); this is for texts that are put together.

/** Letters of right-to-left scripts, and controls of the direction, which names of earlier versions can contain. */
const turning = /[\u0590-\u08ff\u200f\u202a-\u202e\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const overrides = /[\u202a-\u202e]/g;

/** In an isolate where it needs one, with overrides of the direction made visible; any other text unchanged. */
export const isolated = (text: string): string =>
  turning.test(text) ? `\u2068${text.replaceAll(overrides, '\ufffd')}\u2069` : text;
