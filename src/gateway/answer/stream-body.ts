// Processes a stream: removes the usage that only the gateway requested, and rewrites errors.
import type { Screen } from '../../upstream/screen.ts';
import { FrameScreen } from './frame-screen.ts';
import { UsageFilter } from './usage-filter.ts';

export class StreamBody {
  readonly #screen: FrameScreen;
  readonly #filter: UsageFilter | undefined;

  /** `events`: a stream of server-sent events, not of lines. */
  constructor(screen: Screen, usageInjected: boolean, events: boolean) {
    this.#screen = new FrameScreen(screen, events);
    this.#filter = usageInjected ? new UsageFilter() : undefined;
  }

  /** Takes a chunk, returns what can be sent now. @throws GatewayError on an endless event. */
  push(chunk: Buffer): Buffer {
    const screened = this.#screen.push(chunk);
    return this.#filter ? this.#filter.push(screened) : screened;
  }

  /** Returns the rest when the stream ends. @throws GatewayError as `push`. */
  end(): Buffer {
    const rest = this.#screen.end();
    return this.#filter ? Buffer.concat([this.#filter.push(rest), this.#filter.end()]) : rest;
  }

  /** Returns the incomplete last line when the stream breaks; half an event that was to be filtered is dropped. */
  cut(): Buffer {
    return this.#filter ? Buffer.alloc(0) : this.#screen.end();
  }
}
