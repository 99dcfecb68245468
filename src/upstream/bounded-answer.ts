// Reads a model server's answer whole, up to a bound. Pieces are copied into one block as they come: a server that sends
// chunks of a byte would otherwise cost a hundred times what it sent, since each chunk is an object of its own.

const firstBlockBytes = 64 * 1024;

/** @throws where it is longer; the answer is then given up. */
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
