// A parser with a fault behind four comparisons of one byte each: random input does not find it, guided input does.

export function plantedFault(bytes: Buffer): void {
  if (bytes[0] !== 0x51) return;
  if (bytes[3] !== 0xc7) return;
  if (bytes[5] !== (bytes[4] as number) + 3) return;
  if (bytes.length < 9) return;
  if (bytes[8] === 0x9e) throw new RangeError('the planted fault');
}
