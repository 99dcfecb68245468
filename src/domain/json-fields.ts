// Reads the members of a JSON object one by one, with a sentence for each that is wrong and for each that is left over.

export interface Fields {
  /** How sentences call it. */
  readonly name: string;
  /** From now on, sentences call it so. */
  call(name: string): void;
  has(member: string): boolean;
  text(member: string): string;
  /** Undefined if it is missing or null. */
  optionalText(member: string): string | undefined;
  /** @throws Error "… is `what`". */
  matching(member: string, shape: RegExp, what: string): string | undefined;
  texts(member: string, otherwise: readonly string[], most: number): readonly string[];
  flag(member: string, otherwise: boolean): boolean;
  choice<Word extends string>(member: string, words: readonly Word[], otherwise: Word): Word;
  choices<Word extends string>(member: string, words: readonly Word[], otherwise: readonly Word[]): readonly Word[];
  /** `otherwise` undefined: it must be there. */
  whole(member: string, least: number, most: number, otherwise: number | undefined): number;
  wholeOrNull(member: string, least: number, most: number, otherwise: number | null): number | null;
  /** The object in this member; an empty one if it is missing. `known`: it has only these members. */
  inside(member: string, known?: readonly string[]): Fields;
  /** The same; undefined if it is missing or null. */
  insideOrNull(member: string): Fields | undefined;
  /** `read`, with the member's name in front of what it throws. */
  reading<In, Out>(member: string, read: (given: In) => Out): (given: In) => Out;
  /** @throws Error for a member that was not read. */
  refuseOthers(): void;
}

/** @throws Error with a sentence, as all of its functions do. */
export function readFields(input: unknown, called: string): Fields {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) throw new Error(`${called} is an object`);
  return new ObjectFields(input as Readonly<Record<string, unknown>>, called, ': ');
}

class ObjectFields implements Fields {
  name: string;
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #read = new Set<string>();
  /** Between the name and a member. */
  #joint: string;

  constructor(members: Readonly<Record<string, unknown>>, name: string, joint: string) {
    this.#members = members;
    this.name = name;
    this.#joint = joint;
  }

  call(name: string): void {
    this.name = name;
  }

  has(member: string): boolean {
    return this.#take(member) !== undefined;
  }

  text(member: string): string {
    const value = this.#take(member);
    if (typeof value !== 'string' || value === '') throw this.#fault(member, 'is a text, and must be given');
    return value;
  }

  optionalText(member: string): string | undefined {
    const value = this.#take(member);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value === '') throw this.#fault(member, 'is a text');
    return value;
  }

  matching(member: string, shape: RegExp, what: string): string | undefined {
    const value = this.optionalText(member);
    if (value !== undefined && !shape.test(value)) throw this.#fault(member, `is ${what}`);
    return value;
  }

  texts(member: string, otherwise: readonly string[], most: number): readonly string[] {
    const value = this.#take(member);
    if (value === undefined) return otherwise;
    if (!Array.isArray(value) || value.length > most || !value.every((each) => typeof each === 'string'))
      throw this.#fault(member, `is a list of up to ${most} texts`);
    return value;
  }

  flag(member: string, otherwise: boolean): boolean {
    const value = this.#take(member) ?? otherwise;
    if (typeof value !== 'boolean') throw this.#fault(member, 'is true or false');
    return value;
  }

  choice<Word extends string>(member: string, words: readonly Word[], otherwise: Word): Word {
    const value = this.#take(member) ?? otherwise;
    const found = words.find((word) => word === value);
    if (found === undefined) throw this.#fault(member, `is ${words.join(' or ')}`);
    return found;
  }

  choices<Word extends string>(member: string, words: readonly Word[], otherwise: readonly Word[]): readonly Word[] {
    const given = this.texts(member, otherwise, 100);
    const stray = given.find((word) => !(words as readonly string[]).includes(word));
    if (stray !== undefined) throw this.#fault(member, `can have ${words.join(', ')}, and not "${stray.slice(0, 40)}"`);
    return words.filter((word) => given.includes(word));
  }

  whole(member: string, least: number, most: number, otherwise: number | undefined): number {
    const value = this.#take(member) ?? otherwise;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
      throw this.#fault(member, `is a whole number from ${least} to ${most}`);
    return value;
  }

  wholeOrNull(member: string, least: number, most: number, otherwise: number | null): number | null {
    this.#read.add(member);
    const isNull = this.#members[member] === null || (this.#members[member] === undefined && otherwise === null);
    return isNull ? null : this.whole(member, least, most, otherwise ?? undefined);
  }

  inside(member: string, known?: readonly string[]): Fields {
    const value = this.#take(member) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.#fault(member, 'is an object');
    const inner = new ObjectFields(value as Readonly<Record<string, unknown>>, this.#named(member), '.');
    if (known) {
      for (const each of known) inner.#read.add(each);
      inner.refuseOthers();
    }
    return inner;
  }

  insideOrNull(member: string): Fields | undefined {
    return this.has(member) ? this.inside(member) : undefined;
  }

  reading<In, Out>(member: string, read: (given: In) => Out): (given: In) => Out {
    return (given) => {
      try {
        return read(given);
      } catch (error) {
        throw this.#fault(member, (error as Error).message);
      }
    };
  }

  refuseOthers(): void {
    const other = Object.keys(this.#members).find((member) => !this.#read.has(member));
    if (other !== undefined) throw new Error(`${this.name} has no option "${other.slice(0, 80)}"`);
  }

  /** Undefined also for null, except in `wholeOrNull`. */
  #take(member: string): unknown {
    this.#read.add(member);
    return Object.hasOwn(this.#members, member) ? (this.#members[member] ?? undefined) : undefined;
  }

  #named = (member: string): string => `${this.name}${this.#joint}${member}`;

  #fault = (member: string, what: string): Error => new Error(`${this.#named(member)} ${what}`);
}
