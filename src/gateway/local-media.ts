// Refuses media that a model server would read from its own disk: llama-server (--media-path) and vLLM
// (--allowed-local-media-path) take `file://` where a caller gives the address of an image, a recording or a video, and SGLang
// opens a plain path there (srt/utils/common.py, load_image).
import { GatewayError } from '../domain/error.ts';

/** Where callers put media. Tools are left out: an address in their schemas is only text. */
const places = ['messages', 'input', 'content', 'prompt', 'images', 'system'];
/** Fields that hold an address, or encoded bytes in place of which some servers take one. */
const addressName = /(?:url|uri|data|image|video|audio|path)$/i;
const fileScheme = /^\s*file:/i;
/** Those in which a path without a scheme is opened. In others it is only text, as in the call of a tool. */
const mediaName = /(?:url|uri|image|video|audio)$/i;
const drivePath = /^[a-z]:[\\/]/i;
const mediaFile =
  /^[^:,]*\.(?:png|jpe?g|webp|gif|bmp|tiff?|mp4|mov|avi|mkv|webm|wav|mp3|flac|ogg|m4a|pdf|safetensors|pt)$/i;
const mostPathLength = 4096;

/** A letter can be written as an escape, which these bytes begin. */
const marks = ['file:', '\\u00'].map((text) => Buffer.from(text));
const anyCase = /file:/i;
/** Few bodies have media at all. */
const mediaMarks = ['url"', '"image"', '"video"', '"audio"'].map((text) => Buffer.from(text));
const otherThanWeb = /"(?:\w*url|\w*uri|image|video|audio)"\s*:\s*"(?!data:|https?:)/i;

/** Any of these marks, in upper or lower case. A short body is faster read as one text than looked through for each of them. */
const anyMark = /file:|\\u00|url"|"(?:image|video|audio)"/i;
const shortBytes = 4 * 1024;

/** `bytes`: a JSON object that has been read once and is not too deep. @throws GatewayError `invalid_request`. */
export function refuseLocalMedia(bytes: Buffer): void {
  if (bytes.length <= shortBytes && !anyMark.test(bytes.toString('latin1'))) return;
  if (!marks.some((mark) => bytes.includes(mark)) && !hasOtherCase(bytes) && !hasOtherAddress(bytes)) return;
  const body = JSON.parse(bytes.toString('utf8')) as Readonly<Record<string, unknown>>;
  for (const place of places) refuseIn(body[place], place);
}

/** Schemes have no case (RFC 3986 section 3.1). Few bodies hold the one after this colon. */
function hasOtherCase(bytes: Buffer): boolean {
  return bytes.includes('://') && anyCase.test(bytes.toString('latin1'));
}

function hasOtherAddress(bytes: Buffer): boolean {
  return mediaMarks.some((mark) => bytes.includes(mark)) && otherThanWeb.test(bytes.toString('latin1'));
}

function refuseIn(value: unknown, name: string): void {
  if (typeof value === 'string') {
    if (addressName.test(name) && (fileScheme.test(value) || (mediaName.test(name) && isPath(value))))
      throw new GatewayError('invalid_request', { message: `${name} must not be a file of the model server` });
  } else if (Array.isArray(value)) for (const each of value) refuseIn(each, name);
  else if (typeof value === 'object' && value !== null) {
    const { type } = value as { readonly type?: unknown };
    // What a model has passed to a tool is text to every server.
    const said = typeof type === 'string' && type.endsWith('tool_use') ? 'input' : 'arguments';
    for (const [inner, each] of Object.entries(value)) if (inner !== said) refuseIn(each, inner);
  }
}

/** Encoded bytes are no path: those of a JPEG begin with a slash, but are long. */
function isPath(address: string): boolean {
  const text = address.trim();
  if (text.length > mostPathLength) return false;
  return (/^[/\\.~]/.test(text) && !text.startsWith('/9j/')) || drivePath.test(text) || mediaFile.test(text);
}
