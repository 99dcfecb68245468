// What goes on of a stream: without the usage that only the gate asked for, and with errors said anew.
import type { Screen } from '../../upstream/screen.ts';
import { FrameScreen } from './frame-screen.ts';
import { UsageFilter } from './usage-filter.ts';

export class StreamBody {
  readonly #screen: FrameScreen;
  readonly #filter: UsageFilter | undefined;

  /** `events`: it is a stream of server-sent events, and not of lines. */
  constructor(screen: Screen, usageInjected: boolean, events: boolean) {
    this.#screen = new FrameScreen(screen, events);
    this.#filter = usageInjected ? new UsageFilter() : undefined;
  }

  /** Takes a chunk, gives what may go on now. @throws GatewayError on an endless event. */
  push(chunk: Buffer): Buffer {
    const screened = this.#screen.push(chunk);
    return this.#filter ? this.#filter.push(screened) : screened;
  }

  /** What is left when the stream ends. @throws GatewayError as `push`. */
  end(): Buffer {
    const rest = this.#screen.end();
    return this.#filter ? Buffer.concat([this.#filter.push(rest), this.#filter.end()]) : rest;
  }

  /** What came of a line that was cut, where the stream breaks; half an event that was to be filtered is left out. */
  cut(): Buffer {
    return this.#filter ? Buffer.alloc(0) : this.#screen.end();
  }
}
