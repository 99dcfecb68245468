// Sessions of MCP servers (2025-11-25 and before). A caller gets the id of its session with a proof before it, made for the key
// that opened it, so an id is useless to others, and the gateway does not need to store it. The id also says which of several
// servers has the session.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { ServiceServer } from '../../../upstream/service-server.ts';

/** Whose session it is, and at which service. */
export interface SessionHolder {
  readonly route: string;
  readonly lineage: string;
}

export interface McpSession {
  /** As the server calls it. */
  readonly id: string;
  readonly server: ServiceServer;
}

/** Visible ASCII (Streamable HTTP, "Session Management"); servers send a UUID, a digest or a token. */
const shape = /^[\x21-\x7e]{1,1024}$/;
const proofLength = 43;

export class McpSessions {
  readonly #key: Buffer;

  /** `key`: the same for every gate that callers may come to. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  /** What the caller gets; undefined for an id that no server may give. */
  show({ id, server }: McpSession, holder: SessionHolder): string | undefined {
    return shape.test(id) ? `${this.#proof(id, server.name, holder)}.${markOf(server)}.${id}` : undefined;
  }

  /** Undefined if this holder has no such session on these servers. */
  find(shown: string, servers: readonly ServiceServer[], holder: SessionHolder): McpSession | undefined {
    const [, proof = '', mark, id = ''] = /^([\w-]{43})\.([0-9a-f]{8})\.(.*)$/.exec(shown) ?? [];
    const server = servers.find((each) => markOf(each) === mark);
    if (!server || !shape.test(id) || proof.length !== proofLength) return undefined;
    const right = timingSafeEqual(Buffer.from(proof), Buffer.from(this.#proof(id, server.name, holder)));
    return right ? { id, server } : undefined;
  }

  #proof(id: string, server: string, { route, lineage }: SessionHolder): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([route, lineage, server, id]))
      .digest('base64url');
  }
}

/** Tells servers of one route apart without naming them. */
const markOf = ({ name, basePath }: ServiceServer): string =>
  createHash('sha256')
    .update(name + basePath)
    .digest('hex')
    .slice(0, 8);
