// Where a credential can stand in a request, and what it says. One function reads every place, so that the same checks
// follow wherever it stood (Open WebUI CVE-2026-45339: limits held for Bearer and not for x-api-key). It proves nothing:
// whose credential it is, and whether it is right, is for identify.ts.
// Cookies are not read here: a browser session never opens the data plane.
import { readSshPublicKey } from '../../domain/api-key.ts';
import { GatewayError } from '../../domain/error.ts';
import type { Target } from '../operation.ts';
import type { Received } from '../receive.ts';

export type Credential =
  | { readonly kind: 'key'; readonly text: string; readonly inPath: boolean }
  | { readonly kind: 'certificate'; readonly digest: string }
  | { readonly kind: 'signature'; readonly publicKey: Buffer; readonly signature: Buffer; readonly at: number };

/**
 * The one extractor. `undefined` means that nothing here was meant for us. An empty place holds no credential. Clients
 * that must send some key put a word in its place (`ollama`, `EMPTY`, `sk-no-key`) and the real one elsewhere: a word
 * that is not shaped like a key says nothing beside one that is, or beside another proof. Two keys are refused.
 */
export function readCredential(
  received: Received,
  target: Target,
  isOperators: (text: string) => boolean,
  certificate: () => Credential | undefined,
): Credential | undefined {
  const { repeated, request } = received;
  for (const name of credentialHeaders) if (repeated.has(name)) throw new GatewayError('conflicting_credentials');
  const { headers } = request;
  const { authorization } = headers;
  const signed = authorization === undefined ? undefined : readSignature(authorization, target);
  const texts = new Set<string>();
  for (const text of [
    target.pathKey,
    headers['x-api-key'],
    headers['api-key'],
    signed ? undefined : readAuthorization(authorization),
  ])
    if (typeof text === 'string' && text.trim() !== '') texts.add(text.trim());
  let key: string | undefined;
  for (const text of texts) {
    if (!text.startsWith('sekisho_') && !isOperators(text)) continue;
    if (key !== undefined || signed) throw new GatewayError('conflicting_credentials');
    key = text;
  }
  if (signed) return signed;
  if (key === undefined) {
    const proof = certificate();
    if (proof) return proof;
  }
  const text = key ?? texts.values().next().value;
  return text === undefined ? undefined : { kind: 'key', text, inPath: text === target.pathKey };
}

/**
 * What stands behind `Bearer` or `Token`, the password of Basic (RFC 7617), or a key without a scheme. Neither the
 * scheme's case nor the number of spaces matters (RFC 9110 §11.1, §11.4).
 */
function readAuthorization(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, scheme = '', rest = ''] = /^(\S*)[ \t]*(.*)$/s.exec(value) as RegExpExecArray;
  if (/^(?:bearer|token)$/i.test(scheme)) return rest;
  if (!/^basic$/i.test(scheme)) return value;
  const pair = Buffer.from(rest, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

function readSignature(value: string, target: Target): Credential | undefined {
  const match = /^(AAAAC3NzaC1lZDI1NTE5[A-Za-z0-9+/]+={0,2}):([A-Za-z0-9+/]{86}==)$/.exec(value);
  if (!match) return undefined;
  const publicKey = readSshPublicKey(match[1] as string);
  const at = /^ts=(\d{1,12})$/.exec(target.query)?.[1];
  const signature = Buffer.from(match[2] as string, 'base64');
  // Its last digit has four bits that say nothing; set, they would be fifteen more spellings of it.
  if (!publicKey || at === undefined || signature.toString('base64') !== match[2])
    throw new GatewayError('invalid_api_key');
  return { kind: 'signature', publicKey, signature, at: Number(at) };
}

/** The headers that can hold a credential; `api-key` is Azure's. */
const credentialHeaders: readonly string[] = ['authorization', 'x-api-key', 'api-key'];
