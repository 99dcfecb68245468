// Parses JSON so that writing it again gives the same numbers. A schema or the arguments of a tool can hold integers beyond
// 2^53, and a JavaScript number would round them.

/** Numbers that a JavaScript number may not hold exactly: long ones, and those with an exponent. */
const mayRound = /\d{16}|\d\.\d{14}|\d[eE][+-]?\d/;

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

// ECMAScript's JSON.rawJSON and the third argument of a reviver (tc39/proposal-json-parse-with-source).
const { parse, rawJSON, isRawJSON } = JSON as unknown as {
  readonly parse: (text: string, reviver?: Reviver) => unknown;
  readonly rawJSON: (text: string) => unknown;
  readonly isRawJSON: (value: unknown) => value is { readonly rawJSON: string };
};

/** @throws SyntaxError. */
export const parseExactly = (text: string): unknown => (mayRound.test(text) ? parse(text, keepSource) : parse(text));

const keepSource: Reviver = (_, value, { source }) =>
  typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value;

/** The value as a number, whichever way it was parsed; undefined if it is none. */
export const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : isRawJSON(value) ? Number(value.rawJSON) : undefined;
