// `sekisho model pull|copy|delete`: changes the models on one, several or all servers behind a running gateway.
import process from 'node:process';
import type { Command } from 'commander';
import { type Json, plainText, print, printGone, printObject, printRows } from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';
import type { CallGate, Line } from './gate-call.ts';

interface Options extends Json {
  readonly server?: string;
  readonly url?: string;
}

const withOptions = (command: Command): Command =>
  command
    .option('--server <names>', 'comma-separated model servers, or all; without it, the gateway chooses one')
    .option('--url <address>', 'address of the gateway; without it, from the settings. The key is in GATE_KEY')
    .option('--json', 'one JSON object per line');

export function addServerModels(model: Command, callGate: CallGate): void {
  withOptions(model.command('pull').argument('<model>'))
    .description('download a model to model servers; stopping this command stops the download')
    .action(async (name: string, { server, url, json }: Options) => {
      const progress = new Progress(json);
      const lines = callGate({ method: 'POST', path: '/api/pull', body: { model: name }, servers: server, url });
      try {
        for await (const line of lines) progress.take(line);
      } finally {
        progress.end();
      }
    });

  withOptions(model.command('copy').argument('<model>').argument('<name>', 'the name of the copy'))
    .description('copy a model under a second name on its servers')
    .action(async (source: string, destination: string, { server, url, json }: Options) => {
      const lines = callGate({
        method: 'POST',
        path: '/api/copy',
        body: { source, destination },
        servers: server,
        url,
      });
      await printDone(lines, { model: source, copy: destination }, json, `Copied ${source} to ${destination}.`);
    });

  withOptions(model.command('delete').argument('<model>'))
    .description('delete a model from servers')
    .option(...yesOption)
    .action(async (name: string, { server, url, json, ...sure }: Options & Sure) => {
      const where = server === undefined ? 'a model server' : server === 'all' ? 'all model servers' : server;
      await confirm(`The model ${name} will be deleted from ${where}.`, sure);
      const lines = callGate({ method: 'DELETE', path: '/api/delete', body: { model: name }, servers: server, url });
      await printDone(lines, { model: name, deleted: true }, json, `Deleted the model ${name}.`);
    });
}

/** What each server did. The gateway reports this only for several servers. */
async function printDone(
  lines: AsyncIterable<Line>,
  object: Record<string, unknown>,
  json: boolean | undefined,
  sentence: string,
): Promise<void> {
  let said = false;
  for await (const line of lines) {
    said = true;
    if (json === true) printObject(line, json);
    else printRows(line['servers'] as readonly object[], ['name', 'result'], json, '');
  }
  if (!said) printGone(object, json, sentence);
}

/** Prints a progress in Ollama's format: on a terminal, the figures of a layer stay on one line. */
class Progress {
  readonly #json: boolean | undefined;
  readonly #isTerminal = process.stdout.isTTY;
  /** What the unfinished line shows. */
  #open = '';
  #last = '';

  constructor(json: boolean | undefined) {
    this.#json = json;
  }

  take(line: Line): void {
    if (this.#json === true) {
      printObject(line, true);
      return;
    }
    const { status, digest, total, completed } = line;
    const said = plainText(typeof status === 'string' ? status : '');
    if (typeof total !== 'number' || total <= 0) this.#say(said);
    else this.#figure(said, String(digest), Math.floor((Number(completed ?? 0) / total) * 100), total);
  }

  /** Leaves the cursor at the beginning of a line. */
  end(): void {
    if (this.#open !== '') process.stdout.write('\n');
    this.#open = '';
  }

  #say(text: string): void {
    this.end();
    if (text !== this.#last) print(text);
    this.#last = text;
  }

  #figure(status: string, digest: string, percent: number, total: number): void {
    if (!this.#isTerminal) {
      // Another program gets a line for each layer when it begins and when it is there.
      this.#say(`${status}: ${percent < 100 ? 'begun' : 'done'}, ${sizeText(total)}`);
      return;
    }
    if (this.#open !== digest) this.end();
    this.#open = digest;
    process.stdout.write(`\r\u001b[K${status}: ${percent} % of ${sizeText(total)}`);
  }
}

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

function sizeText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
