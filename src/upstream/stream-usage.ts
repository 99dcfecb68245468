// For kinds that report the usage of a stream if OpenAI's field `stream_options` asks for it. A server that does not know the
// field refuses the call and names the field.
import type { StreamUsage } from './kind.ts';

export const askedByStreamOptions: StreamUsage = {
  takesStreamOptions: true,
  refusesStreamOptions: (status, body) => (status === 400 || status === 422) && body.includes('stream_options'),
};
