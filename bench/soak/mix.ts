// The exchanges of a soak: for each number of a seeded sequence, who calls, in which dialect, and how the exchange ends. The
// same seed and number always give the same request, whichever connection carries it.

export interface Dialect {
  readonly path: string;
  readonly body: (words: string, most: number) => Record<string, unknown>;
}

const messages = (content: string) => ({ messages: [{ role: 'user', content }] });

export const dialects: readonly Dialect[] = [
  { path: '/api/chat', body: (words, most) => ({ ...messages(words), options: { num_predict: most } }) },
  { path: '/v1/chat/completions', body: (words, most) => ({ ...messages(words), max_tokens: most }) },
  { path: '/v1/messages', body: (words, most) => ({ ...messages(words), max_tokens: most }) },
];

/** The text of a piece of an answer, and the maximum number of pieces. */
export const piece = 'piece';
export const mostPieces = 12;

/** The ways of ending, with their percentages. */
const shares = {
  'is answered whole': 38,
  'is streamed': 32,
  'has a wrong key': 4,
  'has a malformed body': 4,
  'meets a 500': 3,
  'is reset in mid-stream': 3,
  'ends without its mark': 3,
  'breaks as a whole answer': 2,
  'leaves at once': 2,
  'leaves before the head': 3,
  'leaves in mid-stream': 3,
  'leaves at any moment': 3,
} as const;
export type Fate = keyof typeof shares | 'is held until its key is revoked';

const fates = Object.entries(shares).flatMap(([fate, share]) => Array.from({ length: share }, () => fate as Fate));

/** How the connections of a member call. */
export type Habit = 'mixed' | 'queueing' | 'plain' | 'holding';

/** One request, and what both ends of it saw. */
export interface Asked {
  readonly number: number;
  readonly fate: Fate;
  readonly dialect: Dialect;
  readonly stream: boolean;
  readonly model: string;
  /** Pieces after which it is cut, and requested pieces. */
  readonly cutAfter: number;
  readonly most: number;
  /** From 0 to 1, for the moment at which a caller leaves. */
  readonly moment: number;
  /** The model server's own count for this one. */
  readonly own: { promptTokens: number; completionTokens: number };
  /** Pieces, and bytes of a whole answer, that the model server had written. */
  said: number;
  wrote: number;
  /** Prompt tokens reported at the start of an Anthropic stream; undefined if none were. */
  promptSaid: number | undefined;
  /** Bytes of the request's body. */
  bytes: number;
  /** Called when the model server has received it. */
  reached: (() => void) | undefined;
}

export const quickModel = 'gemma3:270m';
/** This model has few slots, so that calls wait for it. */
export const busyModel = 'llama3:latest';

export function chooseRequest(seed: number, number: number, habit: Habit): Asked {
  const random = randomOf(seed ^ Math.imul(number + 1, 0x9e3779b1));
  const fate = fateOf(habit, random);
  const most = 1 + Math.floor(random() * mostPieces);
  const streams = ['is reset in mid-stream', 'ends without its mark', 'leaves in mid-stream'];
  const cut = streams.includes(fate) || habit === 'holding';
  return {
    number,
    fate,
    dialect: dialects[Math.floor(random() * dialects.length)] as Dialect,
    stream: cut || (fate !== 'is answered whole' && fate !== 'breaks as a whole answer'),
    model: habit === 'queueing' ? busyModel : quickModel,
    cutAfter: 1 + Math.floor(random() * (mostPieces - 1)),
    most: cut ? mostPieces : most,
    moment: random(),
    own: { promptTokens: 0, completionTokens: 0 },
    promptSaid: undefined,
    said: 0,
    wrote: 0,
    bytes: 0,
    reached: undefined,
  };
}

function fateOf(habit: Habit, random: () => number): Fate {
  const drawn = random();
  switch (habit) {
    case 'mixed':
      return fates[Math.floor(drawn * fates.length)] as Fate;
    case 'queueing':
      return drawn < 0.3 ? 'leaves at any moment' : drawn < 0.7 ? 'is streamed' : 'is answered whole';
    case 'plain':
      return drawn < 0.5 ? 'is streamed' : 'is answered whole';
    case 'holding':
      return 'is held until its key is revoked';
  }
}

/** The request as it goes over the wire. */
export function requestBytes(asked: Asked, secret: string): string {
  const { dialect, fate, model, most, number, stream } = asked;
  const words = `exchange-${number} ${'so many words '.repeat(number % 11)}`;
  const body =
    fate === 'has a malformed body'
      ? `{"exchange-${number}": [`
      : JSON.stringify({ model, stream, ...dialect.body(words, most) });
  asked.bytes = Buffer.byteLength(body);
  const key = fate === 'has a wrong key' ? wrong(secret) : secret;
  return (
    `POST ${dialect.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
    `X-Api-Key: ${key}\r\nContent-Length: ${asked.bytes}\r\n\r\n${body}`
  );
}

/** A key with a typing error. */
const wrong = (secret: string): string => `${secret.slice(0, -1)}${secret.endsWith('x') ? 'y' : 'x'}`;

/** Mulberry32: small, even, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
