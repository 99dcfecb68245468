// Messages of a kernel of Jupyter over a WebSocket, in the binary form of v1.kernel.websocket.jupyter.org
// (jupyter_server/services/kernels/connection/base.py).

export const kernelProtocol = 'v1.kernel.websocket.jupyter.org';

export interface KernelMessage {
  readonly channel: string;
  readonly header: Readonly<Record<string, unknown>>;
  readonly parent_header: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly content: Readonly<Record<string, unknown>>;
}

/** Offsets as 64-bit numbers, little-endian: their count, then each; the parts follow (serialize_msg_to_ws_v1). */
export function readMessage(bytes: Buffer): KernelMessage {
  const count = Number(bytes.readBigUInt64LE(0));
  const offsets = Array.from({ length: count }, (_, at) => Number(bytes.readBigUInt64LE(8 * (at + 1))));
  const parts = offsets.slice(1).map((end, at) => bytes.subarray(offsets[at] as number, end).toString('utf8'));
  const [channel = '', ...texts] = parts;
  const [header, parent_header, metadata, content] = texts.map((text) => JSON.parse(text) as KernelMessage['content']);
  return { channel, header, parent_header, metadata, content } as KernelMessage;
}
