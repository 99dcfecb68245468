// The reference page of the management API: every endpoint with its schemas, without scripts or external assets.
import { z } from 'zod';
import type { Needs } from './authenticate.ts';
import type { Endpoint } from './endpoint.ts';

const who: Record<Needs, string> = {
  nothing: 'anybody',
  anybody: 'anybody',
  self: 'any valid key, or a signed-in person',
  person: 'a signed-in person',
  'management:read': 'scope management:read, operators and auditors',
  'management:write': 'scope management:write, and operators',
};

export function referencePage(endpoints: readonly Endpoint[]): string {
  const groups = Map.groupBy(endpoints, ({ group }) => group);
  const sections = [...groups].map(
    ([group, rows]) => `<section><h2>${escape(group)}</h2>${rows.map(rowOf).join('')}</section>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sekisho management API</title><style>${style}</style></head>
<body><main><h1>Sekisho management API</h1>
<p>JSON under <code>/management/v1</code>, with an operator’s API key in <code>Authorization: Bearer</code>
or <code>x-api-key</code>, or as somebody who is signed in to the portal. Refusals are RFC 9457 problems. Lists come in pages: give <code>next</code> back as
<code>cursor</code>. A creation may carry an <code>Idempotency-Key</code>, a change <code>If-Match</code> with the
<code>ETag</code> that was seen. The same as <a href="/management/v1/openapi.json">OpenAPI 3.1</a>.</p>
${sections.join('')}</main></body></html>`;
}

function rowOf({ method, path, summary, needs, query, body, answer }: Endpoint): string {
  const parts = [
    query ? ['Query', fieldsOf(query)] : [],
    body ? ['Body', fieldsOf(body)] : [],
    answer ? ['Answer', fieldsOf(answer)] : [],
  ].filter((part) => part.length > 0);
  return `<details><summary><code><b>${method.toUpperCase()}</b> ${escape(path)}</code> <span>${escape(summary)}</span></summary>
<p>For ${who[needs]}.</p>${parts.map(([title, text]) => `<h3>${title}</h3><pre>${escape(text as string)}</pre>`).join('')}</details>`;
}

function fieldsOf(shape: z.ZodType): string {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(shape, { io: 'input', unrepresentable: 'any' });
  return JSON.stringify(schema, null, 2);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const style = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{margin:0}main{max-width:60rem;margin:auto;
padding:1rem}details{border-top:1px solid #8886;padding:.4rem 0}summary{cursor:pointer}summary span{opacity:.8}
pre{overflow:auto;background:#8881;padding:.6rem;border-radius:.3rem;font-size:.85rem}h3{margin:.4rem 0;font-size:1rem}`;
