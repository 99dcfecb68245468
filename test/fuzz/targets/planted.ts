// Not a parser of the gate: it shows that the engine is guided.
import { plantedFault } from '../planted-parser.ts';
import type { Target } from '../target.ts';

export const target: Target = { mostBytes: 32, seeds: () => ['hello'], run: plantedFault };
