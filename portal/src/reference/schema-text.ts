// A schema as text that reads like a type, and a body to begin with that fits it.
import type { Schema } from './catalogue.ts';

type Schemas = Readonly<Record<string, Schema>>;

const resolve = (schema: Schema, schemas: Schemas): Schema => {
  const name = /^#\/components\/schemas\/(.+)$/.exec(schema.$ref ?? '')?.[1];
  return name === undefined ? schema : (schemas[name] ?? {});
};

/** Objects deeper than this are shown by their name. */
const mostDepth = 4;

/** `comments`: with what the gate says about a field, which is English. */
export function typeText(schema: Schema, schemas: Schemas, comments: boolean, depth = 0): string {
  const name = /([^/]+)$/.exec(schema.$ref ?? '')?.[1];
  const found = resolve(schema, schemas);
  if (name !== undefined && depth >= mostDepth) return name;
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.enum) return found.enum.map((each) => JSON.stringify(each)).join(' | ');
  const choices = found.anyOf ?? found.oneOf;
  if (choices) return choices.map((each) => typeText(each, schemas, comments, depth)).join(' | ');
  if (found.allOf) return found.allOf.map((each) => typeText(each, schemas, comments, depth)).join(' & ');
  if (found.type === 'array') return `[${typeText(found.items ?? {}, schemas, comments, depth)}]`;
  if (found.properties) return objectText(found, schemas, comments, depth);
  if (typeof found.additionalProperties === 'object')
    return `{ [name]: ${typeText(found.additionalProperties, schemas, comments, depth)} }`;
  return [found.type ?? 'any'].flat().join(' | ');
}

function objectText(
  { properties = {}, required = [] }: Schema,
  schemas: Schemas,
  comments: boolean,
  depth: number,
): string {
  const inner = '  '.repeat(depth + 1);
  const lines = Object.entries(properties).map(([name, field]) => {
    const about = comments && field.description !== undefined ? `  // ${field.description}` : '';
    const optional = required.includes(name) ? '' : '?';
    return `${inner}${name}${optional}: ${typeText(field, schemas, comments, depth + 1)}${about}`;
  });
  return lines.length === 0 ? '{}' : `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`;
}

/** The required fields, with values of their types. */
export function exampleOf(schema: Schema, schemas: Schemas): unknown {
  const found = resolve(schema, schemas);
  if (found.default !== undefined) return found.default;
  if (found.const !== undefined) return found.const;
  if (found.enum) return found.enum[0];
  const [first] = found.anyOf ?? found.oneOf ?? [];
  if (first) return exampleOf(first, schemas);
  if (found.type === 'array') return [];
  if (found.type === 'boolean') return false;
  if (found.type === 'integer' || found.type === 'number') return 1;
  if (found.type === 'string') return '';
  if (!found.properties) return {};
  const { properties, required = [] } = found;
  return Object.fromEntries(required.map((name) => [name, exampleOf(properties[name] ?? {}, schemas)]));
}
