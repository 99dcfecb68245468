// One load of a model on a server, and the calls that wait for it. It goes on whether they stay or leave.
import type { Fields } from '../kind.ts';

/**
 * `ready`: calls can be sent, because the model is in memory, or because only a call can show more. `failed`: the server said
 * that it cannot load it. `broke`: it gave no answer. `late`: it took longer than the gateway waits.
 */
export type LoadEnd =
  | { readonly kind: 'ready' | 'broke' | 'late' }
  | { readonly kind: 'failed'; readonly status: number; readonly body: Buffer };

export class Load {
  readonly model: string;
  /** As its server spells it. */
  readonly spelled: string;
  /** What the kind of the server needs to load it. */
  readonly wants: Fields;
  /** The same for calls that want the same. */
  readonly key: string;
  readonly via: readonly string[];
  readonly over: Promise<LoadEnd>;
  readonly askedMs = performance.now();
  /** Undefined while another load has to end first. */
  startedMs: number | undefined;
  /** When it will be over, as far as is known. */
  expectedMs: number | undefined;
  /** Calls. */
  waiting = 0;
  #end!: (end: LoadEnd) => void;

  constructor(model: string, spelled: string, wants: Fields, via: readonly string[]) {
    this.model = model;
    this.spelled = spelled;
    this.wants = wants;
    this.key = keyOf(wants);
    this.via = via;
    this.over = new Promise((resolve) => (this.#end = resolve));
  }

  end(end: LoadEnd): void {
    this.#end(end);
  }

  /** The remaining time; undefined if it is unknown, or if the load takes longer than expected. */
  leftMs(): number | undefined {
    if (this.expectedMs === undefined) return undefined;
    const left = this.expectedMs - performance.now();
    return left > 0 ? left : undefined;
  }
}

/** Calls with the same one want the same loaded. */
export const keyOf = (wants: Fields): string => JSON.stringify(wants);
