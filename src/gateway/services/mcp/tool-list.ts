// The answer to tools/list, as far as its caller may use the tools. It is held whole and written anew, as JSON or as the event of a
// stream that has it. It depends on the key then, so no cache may share it.
import { GatewayError } from '../../../domain/error.ts';
import { Pieces } from '../../payload/chunk-buffer.ts';

const mostBytes = 8 * 1024 * 1024;

export class ToolList {
  readonly #mayUse: (tool: string) => boolean;
  readonly #pieces = new Pieces();

  constructor(mayUse: (tool: string) => boolean) {
    this.#mayUse = mayUse;
  }

  /** @throws GatewayError `upstream_failed` if it is too long. */
  add(piece: Buffer): void {
    if (this.#pieces.length + piece.length > mostBytes) throw unreadable('it is too long');
    this.#pieces.add(piece);
  }

  /** @throws GatewayError `upstream_failed` if it cannot be read. */
  end(isStream: boolean): Buffer {
    const text = this.#pieces.bytes().toString('utf8');
    return Buffer.from(isStream ? this.#events(text) : text === '' ? '' : this.#message(text));
  }

  /** Comments and the fields of events stay; the lines of their data become one. */
  #events(text: string): string {
    return text.replaceAll(/(?:^data:.*(?:\r\n|\n|\r|$))+/gm, (lines) => {
      const data = lines
        .split(/\r\n|\n|\r/)
        .filter((line) => line !== '')
        .map((line) => line.replace(/^data: ?/, ''))
        .join('\n');
      return data === '' ? lines : `data: ${this.#message(data)}\n`;
    });
  }

  #message(text: string): string {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch (cause) {
      throw unreadable(String(cause));
    }
    if (!isObject(message) || !isObject(message['result'])) return text;
    const { result } = message;
    if (!Array.isArray(result['tools'])) return text;
    const tools = (result['tools'] as unknown[]).filter(
      (tool) => isObject(tool) && typeof tool['name'] === 'string' && this.#mayUse(tool['name']),
    );
    const scope = result['cacheScope'] === undefined ? {} : { cacheScope: 'private' };
    return JSON.stringify({ ...message, result: { ...result, tools, ...scope } });
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const unreadable = (cause: string): GatewayError =>
  new GatewayError('upstream_failed', { message: 'The list of tools of the service cannot be read.', cause });
