// Refuses what no caller may send to any model server, whatever their plan: media from the server's own disk, and answers
// that it would generate later, past the meter.
import { GatewayError } from '../domain/error.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { refuseLocalMedia } from './local-media.ts';
import { given } from './payload/body-edits.ts';
import type { JsonBody } from './payload/strict-json.ts';

const { deferred } = bodyFields;

/** `bytes`: those of `body`. @throws GatewayError `invalid_request`. */
export function refuseUnsafe(body: JsonBody, bytes: Buffer): void {
  for (const name of deferred) {
    const value = given(body.members, name);
    // Servers in Python also take 1 and "true" for true.
    if (value && bytes.toString('latin1', value.start, value.end) !== 'false')
      throw new GatewayError('invalid_request', {
        message: `${name} is not supported: the answer would come later, and could not be counted`,
      });
  }
  refuseLocalMedia(bytes);
}
