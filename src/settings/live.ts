// The values in force of the settings that can be changed at run time: what the file or the environment sets, else what is stored,
// else the default. This is the only way to read them: `Config` does not have them, so nothing can keep what the start has read.
import { bundleOf, type LiveKey, type LiveValues, liveKeys, liveSettings } from './live-table.ts';

/** What the file and the environment say, and under which name. */
export type GivenSettings = ReadonlyMap<LiveKey, { readonly value: unknown; readonly from: string }>;

/** Something that is computed from the values, and again when they change. */
export interface Derived<T> {
  readonly now: T;
}

export class LiveSettings implements Derived<LiveValues> {
  readonly #given: GivenSettings;
  readonly #followers: (() => void)[] = [];
  #now: LiveValues;

  /** `given`: values that their schemas have read. */
  constructor(given: GivenSettings) {
    this.#given = given;
    this.#now = this.with(new Map());
  }

  get now(): LiveValues {
    return this.#now;
  }

  /** Where the setting is fixed: it, or one that belongs to it, is set in the file or the environment. */
  fixedBy(key: LiveKey): string | undefined {
    const found = this.#given.get(key);
    if (found) return found.from;
    for (const other of bundleOf(key)) {
      const fixed = this.#given.get(other);
      if (fixed) return fixed.from;
    }
    return undefined;
  }

  /** The values that would be in force with these stored ones, which their schemas have read. */
  with(stored: ReadonlyMap<LiveKey, unknown>): LiveValues {
    const valueOf = (key: LiveKey): unknown => {
      const given = this.#given.get(key);
      if (given) return given.value;
      return this.fixedBy(key) === undefined && stored.has(key) ? stored.get(key) : liveSettings[key].fallback;
    };
    return Object.fromEntries(liveKeys.map((key) => [key, valueOf(key)])) as LiveValues;
  }

  /** From now on these hold; true: they differ from before. */
  set(values: LiveValues): boolean {
    if (JSON.stringify(values) === JSON.stringify(this.#now)) return false;
    this.#now = values;
    for (const follow of this.#followers) follow();
    return true;
  }

  /** Plain data made from the values; the same object until something of it differs, which `changed` is told. */
  deriveData<T>(make: (values: LiveValues) => T, changed: () => void = () => undefined): Derived<T> {
    let made = make(this.#now);
    this.#followers.push(() => {
      const next = make(this.#now);
      if (JSON.stringify(next) === JSON.stringify(made)) return;
      made = next;
      changed();
    });
    return {
      get now() {
        return made;
      },
    };
  }

  /** Makes something from the values, now and whenever they have changed. */
  derive<T>(make: (values: LiveValues) => T): Derived<T> {
    let made = make(this.#now);
    this.#followers.push(() => {
      made = make(this.#now);
    });
    return {
      get now() {
        return made;
      },
    };
  }
}
