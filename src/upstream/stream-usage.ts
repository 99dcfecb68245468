// Servers that are asked for the usage of a stream by OpenAI's field `stream_options`, and how one that does not know the
// field is recognised.
import type { StreamUsage } from './kind.ts';

export const askedByStreamOptions: StreamUsage = {
  takesStreamOptions: true,
  refusesStreamOptions: (status, body) => (status === 400 || status === 422) && body.includes('stream_options'),
};
