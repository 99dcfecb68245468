// Vectors of /api/embed have the length 1 (docs/capabilities/embeddings). Most servers give such vectors already; these keep their
// digits.
import { malformed } from '../translation.ts';

/** How far from 1 the squared length of a vector may be that was rounded to 32-bit figures. */
const tolerance = 1e-3;

/** Takes and returns the JSON text of a list of numbers. @throws GatewayError `upstream_failed` for another list. */
export function unitVector(text: string): string {
  const vector = JSON.parse(text) as readonly unknown[];
  let sum = 0;
  for (const each of vector) {
    if (typeof each !== 'number') throw malformed('embeddings that are not numbers');
    sum += each * each;
  }
  if (sum === 0 || Math.abs(sum - 1) <= tolerance) return text;
  const length = Math.sqrt(sum);
  return JSON.stringify(vector.map((each) => (each as number) / length));
}
