// How many WebSockets each key has open at each service.
import type { KeyId } from '../../domain/id.ts';

export class OpenSockets {
  readonly #open = new Map<string, number>();

  /** Takes a place, and returns how to leave it; undefined if the key has `most` open. Null: any number. */
  take(service: string, key: KeyId, most: number | null): (() => void) | undefined {
    const name = `${service} ${key}`;
    const open = this.#open.get(name) ?? 0;
    if (most !== null && open >= most) return undefined;
    this.#open.set(name, open + 1);
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      const left = (this.#open.get(name) ?? 1) - 1;
      if (left > 0) this.#open.set(name, left);
      else this.#open.delete(name);
    };
  }
}
