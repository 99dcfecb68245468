// Refuses media that a model server would read from its own disk: llama-server (--media-path) and vLLM
// (--allowed-local-media-path) take `file://` where a caller gives the address of an image, a recording or a video.
import { GatewayError } from '../domain/error.ts';

/** Where callers put media. Tools are left out: an address in their schemas is only text. */
const places = ['messages', 'input', 'content', 'prompt', 'images', 'system'];
/** Fields that hold an address, or encoded bytes in place of which some servers take one. */
const addressName = /(?:url|uri|data|image|path)$/i;
const fileScheme = /^\s*file:/i;

/** A letter can be written as an escape, which these bytes begin. */
const marks = ['file:', '\\u00'].map((text) => Buffer.from(text));
const anyCase = /file:/i;

/** `bytes`: a JSON object that has been read once and is not too deep. @throws GatewayError `invalid_request`. */
export function refuseLocalMedia(bytes: Buffer): void {
  if (!marks.some((mark) => bytes.includes(mark)) && !hasOtherCase(bytes)) return;
  const body = JSON.parse(bytes.toString('utf8')) as Readonly<Record<string, unknown>>;
  for (const place of places) refuseIn(body[place], place);
}

/** Schemes have no case (RFC 3986 section 3.1). Few bodies hold the one after this colon. */
function hasOtherCase(bytes: Buffer): boolean {
  return bytes.includes('://') && anyCase.test(bytes.toString('latin1'));
}

function refuseIn(value: unknown, name: string): void {
  if (typeof value === 'string') {
    if (addressName.test(name) && fileScheme.test(value))
      throw new GatewayError('invalid_request', { message: `${name} must not be a file of the model server` });
  } else if (Array.isArray(value)) for (const each of value) refuseIn(each, name);
  else if (typeof value === 'object' && value !== null)
    for (const [inner, each] of Object.entries(value)) refuseIn(each, inner);
}
