// Ways to cut a stream into chunks: byte by byte, and at two places given by the first two bytes of the input.

export function cuts(stream: Buffer, choice: Buffer): Buffer[][] {
  const [one, two] = [0, 1]
    .map((at) => Math.floor(((choice[at] ?? 0) / 256) * (stream.length + 1)))
    .toSorted((a, b) => a - b) as [number, number];
  return [
    Array.from(stream, (_, at) => stream.subarray(at, at + 1)),
    [stream.subarray(0, one), stream.subarray(one, two), Buffer.alloc(0), stream.subarray(two)],
  ];
}
