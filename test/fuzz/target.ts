// What a target is: it takes bytes that anybody may have sent, and throws where one of its oracles is broken. A refusal
// is no fault; anything that is thrown and is no GatewayError is one.
import { GatewayError } from '../../src/domain/error.ts';

export interface Target {
  /** Words of the grammar, beside those that stand in the parser's own source. */
  readonly words?: readonly string[];
  readonly mostBytes?: number;
  /** Real material to begin with: recorded requests and answers, known hostile cases. */
  readonly seeds: () => readonly (string | Uint8Array)[];
  readonly run: (bytes: Buffer) => void | Promise<void>;
}

/** What a reader made of it, or the code it refused it with. */
export type Verdict<T> =
  | { readonly value: T; readonly code?: never }
  | { readonly code: string; readonly value?: never };

export function verdict<T>(read: () => T): Verdict<T> {
  try {
    return { value: read() };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { code: error.code };
  }
}
