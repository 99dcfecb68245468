// The list of dialects: the only file that names all of them.
import { anthropic } from './anthropic/anthropic.ts';
import type { Dialect } from './dialect.ts';
import { ollama } from './ollama/ollama.ts';
import { openai } from './openai/openai.ts';

/** The first one is used for paths outside all dialects. */
export const dialects: readonly [Dialect, ...Dialect[]] = [ollama, openai, anthropic];
