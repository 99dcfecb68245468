// Reads a model server's whole answer, up to a bound. Chunks are copied into one block as they arrive: each chunk is an
// object, so a server that sends chunks of one byte would otherwise cost a hundred times what it sends.

const firstBlockBytes = 64 * 1024;

/** @throws if the body is longer than `mostBytes`; the rest is then not read. */
export async function readWhole(body: AsyncIterable<Buffer>, mostBytes: number): Promise<Buffer> {
  let block = Buffer.allocUnsafeSlow(Math.min(firstBlockBytes, mostBytes));
  let length = 0;
  for await (const piece of body) {
    const needed = length + piece.length;
    if (needed > mostBytes) throw new Error('the answer is too large');
    if (needed > block.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(mostBytes, Math.max(needed, 2 * block.length)));
      block.copy(larger, 0, 0, length);
      block = larger;
    }
    length += piece.copy(block, length);
  }
  return block.subarray(0, length);
}
