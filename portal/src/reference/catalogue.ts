// The routes that somebody may call, each with what goes in and comes out: those of the management API from its OpenAPI document, which
// the gate makes from the schemas that it validates with, and those for calls of models from the table that it matches requests to.
import { api } from '../api.ts';
import type { Operation, PageOf } from '../api-types.ts';

/** JSON Schema, as far as it is shown. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly format?: string;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

/** Who may call a row of the management API. */
export type Needs = 'nothing' | 'anybody' | 'self' | 'person' | 'management:read' | 'management:write';

/** One route with one method. */
export interface Entry {
  readonly id: string;
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  readonly group: string;
  /** `models`: with a key, at the routes for calls of models. */
  readonly of: 'management' | 'models';
  readonly needs: Needs;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | undefined;
  readonly answer: Schema | undefined;
  /** Of the answer. */
  readonly type: string | undefined;
}

export interface Catalogue {
  readonly entries: readonly Entry[];
  readonly schemas: Readonly<Record<string, Schema>>;
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}
interface Row {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly 'x-sekisho-needs': Needs;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}
interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Row>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export interface Rights {
  readonly reads: boolean;
  readonly operates: boolean;
}

const mayCall = (needs: Needs, { reads, operates }: Rights): boolean =>
  needs === 'management:write' ? operates : needs === 'management:read' ? reads : true;

/** @throws Problem. */
export async function readCatalogue(rights: Rights): Promise<Catalogue> {
  const [document, operations] = await Promise.all([
    api.get<OpenApi>('/openapi.json'),
    api.get<PageOf<Operation>>('/me/operations'),
  ]);
  const rows = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, row]) => entryOf(path, method, row)),
  );
  return {
    entries: [...operations.items.map(entryOfOperation), ...rows.filter(({ needs }) => mayCall(needs, rights))],
    schemas: document.components.schemas,
  };
}

function entryOf(path: string, method: string, row: Row): Entry {
  const done = Object.entries(row.responses).find(([status]) => status.startsWith('2'))?.[1].content ?? {};
  const [type, answer] = Object.entries(done)[0] ?? [];
  return {
    id: row.operationId,
    name: row.operationId,
    method: method.toUpperCase(),
    path: `/management/v1${path}`,
    summary: row.summary,
    group: row.tags[0] ?? '',
    of: 'management',
    needs: row['x-sekisho-needs'],
    parameters: row.parameters ?? [],
    body: row.requestBody?.content?.['application/json']?.schema,
    answer: answer?.schema,
    type,
  };
}

function entryOfOperation({ name, dialect, method, path, body }: Operation): Entry {
  return {
    id: `${method}-${name}`,
    name,
    method,
    path,
    summary: '',
    group: dialect,
    of: 'models',
    needs: 'self',
    parameters: [...path.matchAll(/\{(\w+)\}/g)].map(([, each = '']) => ({
      name: each,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    body: body === 'json' ? { type: 'object' } : undefined,
    answer: undefined,
    type: undefined,
  };
}
