// No parser of the gate's: by it the engine shows that it is guided.
import { plantedFault } from '../planted-parser.ts';
import type { Target } from '../target.ts';

export const target: Target = { mostBytes: 32, seeds: () => ['hello'], run: plantedFault };
