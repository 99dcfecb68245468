// Generates the OpenAPI 3.1 document of the management API from its endpoints, so that validation and documentation cannot differ.
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { problemSchema } from './problem.ts';
import { problemCodes, statusOf } from './problem-codes.ts';

type Json = Record<string, unknown>;

// oxlint-disable-next-line eslint/max-lines-per-function -- one literal in the order of the document
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
      ...(row.needs === 'person' ? { security: [{ session: [] }] } : {}),
      'x-sekisho-needs': row.needs,
      'x-sekisho-fresh': typeof row.fresh === 'function' ? 'depends' : row.fresh,
      'x-sekisho-pace': row.pace,
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
          content: { 'application/problem+json': { schema: schema(problemSchema, 'output') } },
        },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sekisho management API',
      version: '1',
      description: 'Accounts, keys, plans, the suspension ladder, usage and the audit log of a gateway.',
    },
    servers: [{ url: '/management/v1' }],
    security: [{ bearer: [] }, { apiKey: [] }, { session: [] }],
    paths,
    components: {
      schemas: components,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        session: { type: 'apiKey', in: 'cookie', name: 'sekisho.session_token' },
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

/**
 * Converts a schema to JSON Schema (draft 2020-12, OpenAPI 3.1 §4.8.24). Every schema with an id becomes a component, which its
 * uses refer to. Throws if two different schemas have the same id.
 */
function lift(shape: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const { $schema: _dialect, ...made } = z.toJSONSchema(shape, { io, unrepresentable: 'any', reused: 'inline' });
  const { $defs = {}, ...schema } = JSON.parse(
    JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/'),
  ) as Json & { $defs?: Record<string, Json> };
  for (const [name, definition] of Object.entries($defs)) {
    const known = components[name];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(definition))
      throw new Error(`the schema ${name} has two definitions`);
    components[name] = definition;
  }
  return schema;
}
