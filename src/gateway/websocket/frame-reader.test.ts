// What passes a WebSocket in each direction, and where it may be interrupted.
import { expect, test } from 'vitest';
import { FrameFault, FrameReader } from './frame-reader.ts';
import { closeFrame } from './frames.ts';

const limits = { maxFrameBytes: 1_000, maxMessageBytes: 2_000 };

interface Sent {
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly code: number;
  readonly payload?: string | Buffer;
  readonly masked?: boolean;
  /** Writes the length in that many bytes. */
  readonly lengthBytes?: 2 | 8;
}

function frame({ fin = true, rsv = 0, code, payload = '', masked = false, lengthBytes }: Sent): Buffer {
  const bytes = Buffer.from(payload);
  const wide = lengthBytes ?? (bytes.length > 65_535 ? 8 : bytes.length > 125 ? 2 : undefined);
  const length = Buffer.alloc(wide ?? 0);
  if (wide === 2) length.writeUInt16BE(bytes.length);
  if (wide === 8) length.writeBigUInt64BE(BigInt(bytes.length));
  const short = wide === 2 ? 126 : wide === 8 ? 127 : bytes.length;
  const mask = Buffer.from(masked ? [1, 2, 3, 4] : []);
  const body = masked ? bytes.map((byte, at) => byte ^ (mask[at & 3] as number)) : bytes;
  return Buffer.concat([
    Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | code, (masked ? 0x80 : 0) | short]),
    length,
    mask,
    body,
  ]);
}

interface Read {
  readonly passed: string;
  readonly fault: number | undefined;
  readonly reader: FrameReader;
}

function read(from: 'client' | 'server', chunks: readonly Buffer[], by = limits): Read {
  const reader = new FrameReader(from, by);
  const passed: Buffer[] = [];
  try {
    for (const chunk of chunks) reader.push(chunk, (bytes) => passed.push(bytes));
  } catch (error) {
    if (!(error instanceof FrameFault)) throw error;
    return { passed: Buffer.concat(passed).toString('hex'), fault: error.code, reader };
  }
  return { passed: Buffer.concat(passed).toString('hex'), fault: undefined, reader };
}

const bytesOf = (stream: Buffer): Buffer[] => Array.from(stream, (_, at) => stream.subarray(at, at + 1));
const text = (payload: string | Buffer, more: Partial<Sent> = {}): Buffer => frame({ code: 1, payload, ...more });

test('correct frames pass byte for byte, whole and cut into single bytes, and are counted', () => {
  const stream = Buffer.concat([
    text('one', { masked: true }),
    frame({ code: 2, payload: Buffer.alloc(200, 7), masked: true, fin: false }),
    frame({ code: 9, payload: 'between', masked: true }),
    frame({ code: 0, payload: Buffer.alloc(126, 8), masked: true }),
    frame({ code: 10, masked: true }),
    text('', { masked: true }),
    frame({ code: 8, payload: Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65]), masked: true }),
  ]);
  for (const chunks of [[stream], bytesOf(stream)]) {
    const { passed, fault, reader } = read('client', chunks);
    expect(fault).toBeUndefined();
    expect(passed).toBe(stream.toString('hex'));
    expect([reader.messages, reader.payloadBytes, reader.closed, reader.closedWith]).toEqual([3, 329, true, 1000]);
    expect(reader.atBorder).toBe(true);
  }
});

test.each([
  ['an unmasked frame of a client', 'client', text('x'), 1002],
  ['a masked frame of a server', 'server', text('x', { masked: true }), 1002],
  ['a reserved bit (compression was not agreed on)', 'server', text('x', { rsv: 4 }), 1002],
  ['the second reserved bit', 'server', text('x', { rsv: 2 }), 1002],
  ['the third reserved bit', 'server', frame({ code: 9, rsv: 1 }), 1002],
  ['an unknown data opcode', 'server', frame({ code: 3 }), 1002],
  ['an unknown control opcode', 'server', frame({ code: 11 }), 1002],
  ['a fragment of no message', 'server', frame({ code: 0, payload: 'x' }), 1002],
  ['a fragmented ping', 'server', frame({ code: 9, fin: false }), 1002],
  ['a fragmented close', 'server', frame({ code: 8, fin: false }), 1002],
  ['a ping of 126 bytes', 'server', frame({ code: 9, payload: Buffer.alloc(126) }), 1002],
  ['a short length in two bytes', 'server', text('x', { lengthBytes: 2 }), 1002],
  ['a length of two bytes in eight', 'server', text(Buffer.alloc(300), { lengthBytes: 8 }), 1002],
  ['a negative length', 'server', Buffer.from('827f8000000000000001', 'hex'), 1002],
  ['a frame that is too large', 'server', text(Buffer.alloc(1_001)), 1009],
  ['a length of 2^62', 'server', Buffer.from('827f4000000000000000', 'hex'), 1009],
  ['a close code of one byte', 'server', frame({ code: 8, payload: 'x' }), 1002],
  ['close code 1005, which stands for none', 'server', frame({ code: 8, payload: Buffer.from('03ed', 'hex') }), 1002],
  ['close code 1006', 'server', frame({ code: 8, payload: Buffer.from('03ee', 'hex') }), 1002],
  ['close code 999', 'server', frame({ code: 8, payload: Buffer.from('03e7', 'hex') }), 1002],
  ['close code 2999', 'server', frame({ code: 8, payload: Buffer.from('0bb7', 'hex') }), 1002],
  ['close code 5000', 'server', frame({ code: 8, payload: Buffer.from('1388', 'hex') }), 1002],
  ['a reason that is not UTF-8', 'server', frame({ code: 8, payload: Buffer.from('03e8ff', 'hex') }), 1007],
] as const)('%s does not pass, but what came before it does', (_, from, bad, code) => {
  const before = text('before', { masked: from === 'client' });
  const stream = Buffer.concat([before, bad]);
  for (const chunks of [[stream], bytesOf(stream)]) {
    const { passed, fault } = read(from, chunks);
    expect([passed, fault]).toEqual([before.toString('hex'), code]);
  }
});

const broken: readonly (readonly [string, string])[] = [
  ['a byte that is none of UTF-8', 'ff'],
  ['a lone continuation', '61 80'],
  ['an overlong slash', 'c0 af'],
  ['an overlong dot of three bytes', 'e0 80 ae'],
  ['half of a surrogate pair', 'ed a0 80'],
  ['beyond U+10FFFF', 'f4 90 80 80'],
  ['a lead byte of five', 'f8 88 80 80 80'],
  ['a character that breaks off', '61 e3 81'],
  ['a character that another interrupts', 'e3 81 61'],
];

test.each(broken)('text that is not UTF-8 does not pass: %s', (_, hex) => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  for (const from of ['client', 'server'] as const) {
    const masked = from === 'client';
    const before = text('before', { masked });
    const whole = read(from, [Buffer.concat([before, text(bytes, { masked })])]);
    expect([whole.passed, whole.fault, whole.reader.atBorder]).toEqual([before.toString('hex'), 1007, true]);
    expect(read(from, bytesOf(text(bytes, { masked }))).fault).toBe(1007);
    const parts = [...bytes].map((byte, at) =>
      frame({ code: at === 0 ? 1 : 0, fin: false, masked, payload: Buffer.from([byte]) }),
    );
    expect(read(from, [...parts, frame({ code: 0, masked })]).fault).toBe(1007);
    expect(read(from, [frame({ code: 2, payload: bytes, masked })]).fault).toBeUndefined();
  }
});

test('text passes wherever its characters are cut, in frames and in chunks', () => {
  const bytes = Buffer.from('aé門🗝️\u{10ffff}\0');
  for (const from of ['client', 'server'] as const)
    for (let at = 0; at <= bytes.length; at++) {
      const masked = from === 'client';
      const stream = Buffer.concat([
        frame({ code: 1, fin: false, masked, payload: bytes.subarray(0, at) }),
        frame({ code: 9, masked, payload: Buffer.from([0xff]) }),
        frame({ code: 0, masked, payload: bytes.subarray(at) }),
        frame({ code: 2, masked, payload: Buffer.from([0xff]) }),
      ]);
      for (const chunks of [[stream], bytesOf(stream)])
        expect(read(from, chunks)).toMatchObject({ passed: stream.toString('hex'), fault: undefined });
    }
});

test('a message within another does not pass', () => {
  const begun = text('a', { fin: false });
  const { passed, fault } = read('server', [Buffer.concat([begun, text('b')])]);
  expect([passed, fault]).toEqual([begun.toString('hex'), 1002]);
});

test('the fragments of one message together have a limit, and the next message has its own', () => {
  const part = (code: number, fin: boolean): Buffer => frame({ code, fin, payload: Buffer.alloc(1_000) });
  expect(read('server', [part(2, false), part(0, true), part(2, false), part(0, true)]).fault).toBeUndefined();
  expect(read('server', [part(2, false), part(0, false), frame({ code: 0, payload: 'x' })]).fault).toBe(1009);
});

test('nothing passes after a close frame', () => {
  const close = frame({ code: 8 });
  for (const chunks of [[Buffer.concat([close, text('late')])], [close, text('late')]]) {
    const { passed, fault, reader } = read('server', chunks);
    expect([passed, fault, reader.closedWith]).toEqual([close.toString('hex'), undefined, undefined]);
  }
});

test('an incomplete head or control frame is kept back, so that a frame can be added at the border', () => {
  for (const begun of [text('hello').subarray(0, 1), frame({ code: 9, payload: 'hello' }).subarray(0, 6)]) {
    const { passed, reader } = read('server', [text('whole'), begun]);
    expect([passed, reader.atBorder]).toEqual([text('whole').toString('hex'), true]);
  }
});

test('after a stop only the rest of a begun frame passes', () => {
  const [begun, next] = [text('a long payload'), text('the next')];
  const reader = new FrameReader('server', limits);
  const passed: Buffer[] = [];
  const push = (bytes: Buffer): void => reader.push(bytes, (piece) => passed.push(piece));
  push(begun.subarray(0, 5));
  expect(reader.atBorder).toBe(false);
  reader.stop();
  push(Buffer.concat([begun.subarray(5), next]));
  push(next);
  expect(reader.atBorder).toBe(true);
  expect(Buffer.concat(passed)).toEqual(begun);
});

test('the close frames of the gateway pass the check of each side, with a reason of at most 123 bytes', () => {
  for (const [to, from] of [
    ['client', 'server'],
    ['server', 'client'],
  ] as const) {
    const { fault, reader } = read(from, [closeFrame(1008, 'Schlüssel '.repeat(20), to)]);
    expect([fault, reader.closedWith]).toEqual([undefined, 1008]);
  }
});
