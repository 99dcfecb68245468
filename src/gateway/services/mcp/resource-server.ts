// An MCP server as a protected resource of OAuth (RFC 9728): what its metadata says and where they are, what a refusal tells a client, and
// for whom an access token must be (RFC 8707).

import type { RouteScope } from '../../../domain/scope.ts';
import { type McpIssuer, prefixOf, type ServiceRoute } from '../../../domain/service-route.ts';

/** Followed by the path of the resource (RFC 9728 §3.1). */
export const metadataPath = '/.well-known/oauth-protected-resource';

export interface ResourceServer {
  /** Of the route. */
  readonly name: string;
  readonly issuer: McpIssuer;
  readonly audiences: readonly string[];
  /** Those of the route and of its tools; no others of a token count. */
  readonly scopes: readonly RouteScope[];
  readonly metadata: Buffer;
  /** `WWW-Authenticate` where there is no credential, where a token is wrong, and where it lacks a scope (RFC 6750 §3). */
  readonly challenges: { readonly missing: string; readonly invalid: string; readonly insufficient: string };
}

/** Undefined for a route without an issuer. `own`: where callers find the gate. */
export function resourceServerOf(route: ServiceRoute, own: URL): ResourceServer | undefined {
  const { name, mcp, match, scope } = route;
  if (!mcp?.issuer) return undefined;
  const { issuer, tools } = mcp;
  const host = match.kind === 'host' ? `${match.hostName}${own.port === '' ? '' : `:${own.port}`}` : own.host;
  const origin = `${own.protocol}//${host}`;
  const resource = origin + (prefixOf(route) || '/');
  const scopes = [...new Set([scope, ...tools.flatMap((each) => each.scope ?? [])])];
  const about = `resource_metadata="${origin}${metadataPath}${prefixOf(route)}"`;
  return {
    name,
    issuer,
    // Clients write the address of a whole host with and without a slash.
    audiences: match.kind === 'host' ? [resource, origin] : [resource],
    scopes,
    metadata: Buffer.from(
      JSON.stringify({
        resource,
        authorization_servers: [issuer.url],
        scopes_supported: scopes,
        bearer_methods_supported: ['header'],
        resource_name: name,
      }),
    ),
    challenges: {
      missing: `Bearer ${about}, scope="${scope}"`,
      invalid: `Bearer error="invalid_token", ${about}, scope="${scope}"`,
      insufficient: `Bearer error="insufficient_scope", ${about}, scope="${scope}"`,
    },
  };
}
