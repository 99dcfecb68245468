// Reads the options of a published service from a JSON object one by one, with a sentence for each that is wrong and for each that is
// left over.
import { type ParametersOf, type Reason, type Said, say, Unreadable } from './sentences.ts';

/** What can be wrong with an option. */
export type OptionFault = Extract<Reason, `option_${string}`>;
/** What can be wrong with a route as a whole. */
export type RouteFault = Extract<Reason, `route_${string}`>;

export interface Fields {
  /** From now on, sentences name the route. */
  call(name: string): void;
  has(member: string): boolean;
  text(member: string): string;
  /** Undefined if it is missing or null. */
  optionalText(member: string): string | undefined;
  /** @throws Unreadable `otherwise`. */
  matching(member: string, shape: RegExp, otherwise: 'option_host' | 'option_unit'): string | undefined;
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
  /** `read`, with the member's name in front of the Unreadable that it throws. */
  reading<In, Out>(member: string, read: (given: In) => Out): (given: In) => Out;
  /** @throws Unreadable for a member that was not read. */
  refuseOthers(): void;
  /** For a member whose value cannot be used. */
  fault<R extends OptionFault>(member: string, reason: R, parameters: ParametersOf<R>): Unreadable;
  /** For options that do not go together. */
  clash<R extends RouteFault>(reason: R, parameters: ParametersOf<R>): Unreadable;
}

/** @throws Unreadable, as all of its functions do. */
export function readFields(input: unknown): Fields {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) throw new Unreadable('route_object', {});
  return new ObjectFields(input as Readonly<Record<string, unknown>>, say('route_unnamed', {}), '');
}

class ObjectFields implements Fields {
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #read = new Set<string>();
  #route: Said;
  /** Where its members are within the route, such as `cost.`. */
  readonly #place: string;

  constructor(members: Readonly<Record<string, unknown>>, route: Said, place: string) {
    this.#members = members;
    this.#route = route;
    this.#place = place;
  }

  call(name: string): void {
    this.#route = say('route_named', { name });
  }

  has(member: string): boolean {
    return this.#take(member) !== undefined;
  }

  text(member: string): string {
    const value = this.#take(member);
    if (typeof value !== 'string' || value === '') throw this.fault(member, 'option_text_needed', {});
    return value;
  }

  optionalText(member: string): string | undefined {
    const value = this.#take(member);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value === '') throw this.fault(member, 'option_text', {});
    return value;
  }

  matching(member: string, shape: RegExp, otherwise: 'option_host' | 'option_unit'): string | undefined {
    const value = this.optionalText(member);
    if (value !== undefined && !shape.test(value)) throw this.fault(member, otherwise, {});
    return value;
  }

  texts(member: string, otherwise: readonly string[], most: number): readonly string[] {
    const value = this.#take(member);
    if (value === undefined) return otherwise;
    if (!Array.isArray(value) || value.length > most || !value.every((each) => typeof each === 'string'))
      throw this.fault(member, 'option_list', { most });
    return value;
  }

  flag(member: string, otherwise: boolean): boolean {
    const value = this.#take(member) ?? otherwise;
    if (typeof value !== 'boolean') throw this.fault(member, 'option_flag', {});
    return value;
  }

  choice<Word extends string>(member: string, words: readonly Word[], otherwise: Word): Word {
    const value = this.#take(member) ?? otherwise;
    const found = words.find((word) => word === value);
    if (found === undefined) throw this.fault(member, 'option_choice', { words: words.join(' or ') });
    return found;
  }

  choices<Word extends string>(member: string, words: readonly Word[], otherwise: readonly Word[]): readonly Word[] {
    const given = this.texts(member, otherwise, 100);
    const stray = given.find((word) => !(words as readonly string[]).includes(word));
    if (stray !== undefined)
      throw this.fault(member, 'option_choices', { words: words.join(', '), word: stray.slice(0, 40) });
    return words.filter((word) => given.includes(word));
  }

  whole(member: string, least: number, most: number, otherwise: number | undefined): number {
    const value = this.#take(member) ?? otherwise;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
      throw this.fault(member, 'option_whole', { least, most });
    return value;
  }

  wholeOrNull(member: string, least: number, most: number, otherwise: number | null): number | null {
    this.#read.add(member);
    const isNull = this.#members[member] === null || (this.#members[member] === undefined && otherwise === null);
    return isNull ? null : this.whole(member, least, most, otherwise ?? undefined);
  }

  inside(member: string, known?: readonly string[]): Fields {
    const value = this.#take(member) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.fault(member, 'option_object', {});
    const inner = new ObjectFields(value as Readonly<Record<string, unknown>>, this.#route, `${this.#place}${member}.`);
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
        throw error instanceof Unreadable ? this.#within(member, error.said) : error;
      }
    };
  }

  fault<R extends OptionFault>(member: string, reason: R, parameters: ParametersOf<R>): Unreadable {
    return this.#within(member, say(reason, parameters));
  }

  clash<R extends RouteFault>(reason: R, parameters: ParametersOf<R>): Unreadable {
    return new Unreadable('route_refused', { route: this.#route, fault: say(reason, parameters) });
  }

  refuseOthers(): void {
    const other = Object.keys(this.#members).find((member) => !this.#read.has(member));
    if (other !== undefined)
      throw new Unreadable('route_no_option', { route: this.#route, at: this.#place + other.slice(0, 80) });
  }

  /** Undefined also for null, except in `wholeOrNull`. */
  #take(member: string): unknown {
    this.#read.add(member);
    return Object.hasOwn(this.#members, member) ? (this.#members[member] ?? undefined) : undefined;
  }

  #within(member: string, fault: Said): Unreadable {
    return new Unreadable('route_option', { route: this.#route, at: this.#place + member, fault });
  }
}
