// The OpenAPI 3.1 document of the management API, made from its rows: what is validated and what is documented cannot
// differ, because they are one thing.
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { problemCodes, problemShape, statusOf } from './problem.ts';

type Json = Record<string, unknown>;

export function openApi(endpoints: readonly Endpoint[]): Json {
  const components: Json = {};
  const schema = (shape: z.ZodType, io: 'input' | 'output'): Json => lift(shape, io, components);
  const paths: Record<string, Json> = {};
  for (const row of endpoints) {
    const answered = row.creates ? '201' : row.answer || row.stream ? '200' : '204';
    const parameters = [
      ...[...row.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string' },
      })),
      ...queryParameters(row.query),
      ...(row.creates && row.again ? [headerParameter('Idempotency-Key', 'Send the same again safely.')] : []),
      ...(row.before ? [headerParameter('If-Match', 'Change only what has this ETag.')] : []),
    ];
    (paths[row.path] ??= {})[row.method] = {
      operationId: row.name,
      summary: row.summary,
      tags: [row.group],
      ...(row.needs === 'nothing' || row.needs === 'anybody' ? { security: [] } : {}),
      ...(row.needs === 'person' ? { security: [{ visit: [] }] } : {}),
      'x-sekisho-needs': row.needs,
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(row.body
        ? { requestBody: { required: true, content: { 'application/json': { schema: schema(row.body, 'input') } } } }
        : {}),
      responses: {
        [answered]: row.answer
          ? { description: 'Done.', content: { 'application/json': { schema: schema(row.answer, 'output') } } }
          : row.stream
            ? { description: 'Done.', content: { [row.stream.type]: { schema: { type: 'string' } } } }
            : { description: 'Done.' },
        default: {
          description: `A problem: ${problemCodes.map((code) => `${statusOf(code)} ${code}`).join(', ')}.`,
          content: { 'application/problem+json': { schema: schema(problemShape, 'output') } },
        },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sekisho management API',
      version: '1',
      description: 'Accounts, keys, plans, the suspension ladder, usage and the audit log of a gate.',
    },
    servers: [{ url: '/management/v1' }],
    security: [{ bearer: [] }, { apiKey: [] }, { visit: [] }],
    paths,
    components: {
      schemas: components,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        visit: { type: 'apiKey', in: 'cookie', name: 'sekisho.session_token' },
      },
    },
  };
}

function headerParameter(name: string, description: string): Json {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } };
}

function queryParameters(query: z.ZodObject | undefined): Json[] {
  if (!query) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Json;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

/** A shape as JSON Schema; shapes that have a name go to the components, and stand here as a reference. */
function lift(shape: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const {
    $schema: _dialect,
    $defs = {},
    ...schema
  } = z.toJSONSchema(shape, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    reused: 'inline',
  }) as Json & { $defs?: Json };
  const moved = JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
  for (const [name, definition] of Object.entries($defs))
    components[name] = clean(
      JSON.parse(JSON.stringify(definition).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json,
    );
  const { id } = shape.meta() ?? {};
  if (typeof id !== 'string') return clean(moved);
  components[id] = clean(moved);
  return { $ref: `#/components/schemas/${id}` };
}

/** The name of a component is where it stands, not a member of it. */
function clean({ id: _name, ...schema }: Json): Json {
  return schema;
}
