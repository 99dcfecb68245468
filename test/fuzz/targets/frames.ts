// The frames of a WebSocket. What passes is what came, up to the first fault or the end of the last whole head; the result does
// not depend on where the bytes are cut; a second reader, which has all bytes at once, finds the same frames and the same fault.
import assert from 'node:assert/strict';
import { FrameFault, FrameReader } from '../../../src/gateway/websocket/frame-reader.ts';
import { cuts } from '../cuts.ts';
import type { Target } from '../target.ts';

const limits = { maxFrameBytes: 0x1_0010, maxMessageBytes: 0x1_0020 };

interface Result {
  readonly passed: number;
  readonly fault: number | undefined;
  readonly atBorder: boolean;
  readonly closed: boolean;
  readonly messages: number;
  readonly payloadBytes: number;
}

function read(from: 'client' | 'server', stream: Buffer, pieces: readonly Buffer[]): Result {
  const reader = new FrameReader(from, limits);
  const passed: Buffer[] = [];
  let fault: number | undefined;
  try {
    for (const piece of pieces) reader.push(piece, (bytes) => passed.push(bytes));
  } catch (error) {
    if (!(error instanceof FrameFault)) throw error;
    fault = error.code;
  }
  const all = Buffer.concat(passed);
  assert.ok(all.equals(stream.subarray(0, all.length)), 'what passes is not what came');
  const { atBorder, closed, messages, payloadBytes } = reader;
  return { passed: all.length, fault, atBorder, closed, messages, payloadBytes };
}

/** Reads the whole stream frame by frame, from the figure in RFC 6455 §5.2. */
function second(from: 'client' | 'server', stream: Buffer): Result {
  const found = { passed: 0, closed: false, messages: 0, payloadBytes: 0, atBorder: true };
  let begun = false;
  let message = 0;
  let text: TextDecoder | undefined;
  const stopped = (fault?: number): Result => ({ ...found, fault });
  for (let at = 0; at < stream.length; ) {
    const bits = (stream[at] as number).toString(2).padStart(8, '0');
    const [fin, reserved, code] = [bits[0] === '1', bits.slice(1, 4), Number.parseInt(bits.slice(4), 2)];
    const isControl = code >= 8;
    if (reserved !== '000' || ![0, 1, 2, 8, 9, 10].includes(code) || (isControl && !fin)) return stopped(1002);
    if (!isControl && (code === 0) !== begun) return stopped(1002);
    if (at + 2 > stream.length) return stopped();
    const [masked, short] = [(stream[at + 1] as number) > 127, (stream[at + 1] as number) % 128];
    if (masked !== (from === 'client') || (isControl && short > 125)) return stopped(1002);
    const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
    const start = at + 2 + wide + (masked ? 4 : 0);
    if (start > stream.length) return stopped();
    const length = wide === 0 ? BigInt(short) : BigInt(`0x${stream.subarray(at + 2, at + 2 + wide).toString('hex')}`);
    if (isControl) {
      if (start + short > stream.length) return stopped();
      if (code === 8) {
        const payload = stream
          .subarray(start, start + short)
          .map((byte, i) => byte ^ (masked ? (stream[start - 4 + (i % 4)] as number) : 0));
        if (payload.length === 1) return stopped(1002);
        if (payload.length > 1) {
          const sent = (payload[0] as number) * 256 + (payload[1] as number);
          const known = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
          if (!known.includes(sent) && !(sent >= 3000 && sent < 5000)) return stopped(1002);
          try {
            new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(2));
          } catch {
            return stopped(1007);
          }
        }
        found.closed = true;
        found.passed = start + short;
        return stopped();
      }
      at = found.passed = start + short;
      continue;
    }
    if (length >= 2n ** 63n || (wide === 2 && length < 126n) || (wide === 8 && length < 65_536n)) return stopped(1002);
    if (length > BigInt(limits.maxFrameBytes) || BigInt(message) + length > BigInt(limits.maxMessageBytes))
      return stopped(1009);
    if (code !== 0) {
      found.messages++;
      text = code === 1 ? new TextDecoder('utf-8', { fatal: true }) : undefined;
    }
    found.payloadBytes += Number(length);
    const end = start + Number(length);
    const mask = masked ? stream.subarray(start - 4, start) : Buffer.alloc(4);
    try {
      const plain = stream.subarray(start, end).map((byte, i) => byte ^ (mask[i % 4] as number));
      text?.decode(plain, { stream: !fin || end > stream.length });
    } catch {
      return stopped(1007);
    }
    message = fin ? 0 : message + Number(length);
    begun = !fin;
    at = end;
    found.passed = Math.min(at, stream.length);
    found.atBorder = at <= stream.length;
  }
  return stopped();
}

/** The first two bytes say where it is cut, and the first also whose frames they are. */
function run(bytes: Buffer): void {
  const stream = bytes.subarray(2);
  const from = ((bytes[0] ?? 0) & 1) === 0 ? 'server' : 'client';
  const whole = read(from, stream, [stream]);
  for (const pieces of cuts(stream, bytes)) {
    const cut = read(from, stream, pieces);
    // What has passed of a text before the byte that is not UTF-8 depends on how it came.
    if (whole.fault !== 1007) assert.deepEqual(cut, whole);
    else {
      const { passed, atBorder } = cut;
      assert.deepEqual(cut, { ...whole, passed, atBorder });
      assert.ok(passed >= whole.passed);
    }
  }
  assert.deepEqual(second(from, stream), whole);
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

export const target: Target = {
  mostBytes: 400,
  // The first are the examples of RFC 6455 §5.7.
  seeds: () => [
    hex('0020 8105 48656c6c6f'),
    hex('0130 8185 37fa213d 7f9f4d5158'),
    hex('0040 0103 48656c 8002 6c6f'),
    hex('0050 8905 48656c6c6f 8a05 48656c6c6f'),
    hex('0150 8a85 37fa213d 7f9f4d5158 8980 00000000'),
    hex(`0060 827e0100 ${'5a'.repeat(256)} 8100`),
    hex(`0070 827f0000000000010000 ${'5a'.repeat(300)}`),
    hex('0080 827f0000000000010021'),
    hex('0080 027f0000000000010010'),
    hex('0080 827e0005 0102030405'),
    hex('0080 827f000000000000ffff'),
    hex('0080 827fffffffffffffffff'),
    hex('0080 8802 03e8 8101 41'),
    hex('0180 8882 00000000 03e9'),
    hex('0180 8885 01020304 02ea 616263'),
    hex('0080 8800'),
    hex('0080 8803 03e8ff'),
    hex('0080 8801 03'),
    hex('0080 8802 03ed'),
    hex('0080 8802 0bb8'),
    hex('0080 897e0080'),
    hex('0080 0901 41'),
    hex('0080 c101 41'),
    hex('0080 0101 41 8101 42'),
    hex('0080 8001 41'),
    hex('0080 8301 41'),
    hex('0180 8101 41'),
    hex('0080 8181 00000000 41'),
    hex('0070 0102 e3 81 8901 41 8001 82'),
    hex('0130 0183 01020304 e2 80 ad 8081 01020304 83'),
    hex('0080 0101 ff 8001 41'),
    hex('0080 0102 e080 8001 80'),
    hex('0080 8103 eda080 8101 41'),
    hex('0080 8104 f4908080'),
    hex('0080 0102 c3a9 8002 c0af'),
    hex('0080 0101 e3 8000'),
  ],
  run,
};
