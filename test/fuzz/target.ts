// A target takes arbitrary bytes and throws if one of its oracles is violated. A refusal is not a fault; any thrown value
// that is not a GatewayError is one.
import { GatewayError } from '../../src/domain/error.ts';

export interface Target {
  /** Words of the grammar, beside those in the parser's own source. */
  readonly words?: readonly string[];
  readonly mostBytes?: number;
  /** Real seeds: recorded requests and answers, known hostile cases. */
  readonly seeds: () => readonly (string | Uint8Array)[];
  readonly run: (bytes: Buffer) => void | Promise<void>;
}

/** What a reader made of it, or the code with which it refused. */
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
