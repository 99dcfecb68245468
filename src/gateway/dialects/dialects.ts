// The list of dialects: the only place that names them all.
import { anthropic } from './anthropic/anthropic.ts';
import type { Dialect } from './dialect.ts';
import { ollama } from './ollama/ollama.ts';
import { openai } from './openai/openai.ts';

/** The first one also answers where no dialect speaks for a path. */
export const dialects: readonly [Dialect, ...Dialect[]] = [ollama, openai, anthropic];
