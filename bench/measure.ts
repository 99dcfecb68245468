// Measures one subject once: starts it, checks that it answers correctly and refuses callers without a key, lets it settle,
// loads it with whole answers and then with streams, and stops it. Any deviation ends the run with a sentence.
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Launched, Place } from './launch.ts';
import { chatBody, chatPath, connections } from './load.ts';
import { coreBusyUs, cpuUs, lastWords, residentBytes, type Started, subjectCore, treeOf } from './processes.ts';
import type { StreamFigures } from './streams.ts';
import type { Subject } from './subjects.ts';

export interface Durations {
  readonly idleS: number;
  readonly warmUpS: number;
  readonly unaryS: number;
  readonly streamWaves: number;
}

/** The figures of one launch of a subject. An unknowable figure, such as the CPU time of no process, is null. */
export interface Figures {
  readonly subject: string;
  readonly requestsPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUsPerRequest: number | null;
  readonly cpuUsPerChunk: number | null;
  readonly chunksPerS: number | null;
  readonly firstChunkMsP50: number | null;
  readonly firstChunkMsP99: number | null;
  readonly idleBytes: number | null;
  readonly loadedBytes: number | null;
  /** Share of the subject's core that other processes used during the unary load; it should be next to nothing. */
  readonly foreignShare: number | null;
}

const startTimeoutMs = 30_000;
const run = promisify(execFile);

export async function measure(subject: Subject, place: Place, durations: Durations): Promise<Figures> {
  mkdirSync(place.directory, { recursive: true });
  const launched = await subject.launch(place);
  try {
    return await measureLaunched(subject, launched, place, durations);
  } finally {
    rmSync(place.directory, { recursive: true, force: true });
  }
}

async function measureLaunched(
  subject: Subject,
  launched: Launched,
  place: Place,
  durations: Durations,
): Promise<Figures> {
  const target = { ...launched, subject, headers: subject.headers(place.upstreamPort) };
  try {
    await answersRightly(target);
    await sleep(durations.idleS * 1000);
    const tree = launched.process ? treeOf(launched.process.pid) : [];
    const idleBytes = residentBytes(tree);
    const warmUp = await loadUnary(target, place, durations.warmUpS);

    const before = { cpuUs: cpuUs(tree), coreUs: coreBusyUs(subjectCore) };
    const unary = await loadUnary(target, place, durations.unaryS);
    const unaryCpuUs = cpuUs(tree) - before.cpuUs;
    const foreignUs = Math.max(0, coreBusyUs(subjectCore) - before.coreUs - unaryCpuUs);

    const streams = subject.streams ? await loadStreams(target, tree, durations.streamWaves) : undefined;
    if (launched.process && !launched.process.running) throw new Error(`${subject.name} ended by itself`);
    if (launched.process && !(await launched.process.stop()))
      throw new Error(`${subject.name} did not stop when it was told to`);
    launched.checkBooks?.(warmUp.requests + unary.requests + (streams?.whole ?? 0));

    const known = launched.process !== undefined;
    return {
      subject: subject.name,
      requestsPerS: unary.requests / (unary.durationUs / 1e6),
      p50Ms: unary.p50Us / 1000,
      p99Ms: unary.p99Us / 1000,
      cpuUsPerRequest: known ? unaryCpuUs / unary.requests : null,
      cpuUsPerChunk: known && streams ? streams.cpuUs / streams.chunks : null,
      chunksPerS: streams ? streams.chunks / streams.seconds : null,
      firstChunkMsP50: streams?.firstMsP50 ?? null,
      firstChunkMsP99: streams?.firstMsP99 ?? null,
      idleBytes: known ? idleBytes : null,
      loadedBytes: known && streams ? streams.maxBytes : null,
      foreignShare: known ? foreignUs / unary.durationUs : null,
    };
  } catch (error) {
    throw explained(error, subject, launched.process);
  } finally {
    await launched.process?.stop();
  }
}

interface Target extends Launched {
  readonly subject: Subject;
  readonly headers: readonly string[];
}

/**
 * Waits until it answers at all, then checks that the answer is the upstream's and that a caller without a key is
 * refused.
 */
async function answersRightly(target: Target): Promise<void> {
  const [key = ''] = target.keys;
  const deadlineMs = performance.now() + startTimeoutMs;
  for (;;) {
    const answer = await ask(target, key).catch((error: unknown) => String(error));
    if (typeof answer === 'object' && answer.status === 200 && answer.body.includes('whoever shows a pass walks on'))
      break;
    const ended = target.process && !target.process.running;
    if (ended || performance.now() > deadlineMs) {
      const last = typeof answer === 'object' ? `status ${answer.status}, ${answer.body.slice(0, 200)}` : answer;
      throw new Error(`${target.subject.name} did not start: ${ended ? 'it ended by itself' : last}`);
    }
    await sleep(100);
  }
  if (!target.subject.checksKey) return;
  const stranger = await ask(target, 'no-key-of-ours');
  if (stranger.status !== 401)
    throw new Error(`${target.subject.name} answered ${stranger.status} to a stranger, not 401`);
}

function ask(target: Target, key: string): Promise<{ status: number; body: string }> {
  const headers = Object.fromEntries(target.headers.map((line) => line.split(/: (.*)/s, 2) as [string, string]));
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        port: target.port,
        host: '127.0.0.1',
        agent: false,
        timeout: 5_000,
        method: 'POST',
        path: chatPath[target.subject.dialect],
        headers: { ...headers, 'content-type': 'application/json', 'x-api-key': key },
      },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', reject);
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('no answer within 5 s')));
    asked.on('error', reject);
    asked.end(chatBody(false));
  });
}

interface UnaryFigures {
  readonly requests: number;
  readonly durationUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly notOk: number;
  readonly broken: number;
}

async function loadUnary(target: Target, place: Place, seconds: number): Promise<UnaryFigures> {
  const keyFile = join(place.directory, 'keys.txt');
  writeFileSync(keyFile, `${target.keys.join('\n')}\n`);
  const path = chatPath[target.subject.dialect];
  const script = join(import.meta.dirname, 'unary.lua');
  const shape = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', script];
  const load = [`http://127.0.0.1:${target.port}`, '--', path, chatBody(false), keyFile, ...target.headers];
  const { stdout } = await run('wrk', [...shape, ...load], { timeout: (seconds + 20) * 1000 });
  const figures = JSON.parse(/^\{.*\}$/m.exec(stdout)?.[0] ?? '{}') as UnaryFigures;
  if (!(figures.requests > 0)) throw new Error(`wrk got no answer at all: ${stdout}`);
  if (figures.notOk + figures.broken > 0) {
    throw new Error(
      `${figures.notOk} answers were errors and ${figures.broken} requests broke, of ${figures.requests}`,
    );
  }
  return figures;
}

const sampleIntervalMs = 200;
const streamsTimeoutMs = 90_000;

async function loadStreams(target: Target, tree: readonly number[], waves: number) {
  let maxBytes = 0;
  const sampler = setInterval(() => {
    maxBytes = Math.max(maxBytes, residentBytes(tree));
  }, sampleIntervalMs);
  const cpuBeforeUs = cpuUs(tree);
  const beganMs = performance.now();
  try {
    const program = join(import.meta.dirname, 'streams.ts');
    const load = [
      String(target.port),
      chatPath[target.subject.dialect],
      String(waves),
      target.keys[0] ?? '',
      ...target.headers,
    ];
    const { stdout } = await run(process.execPath, [program, ...load], { timeout: streamsTimeoutMs });
    const figures = JSON.parse(stdout) as StreamFigures;
    if (figures.whole !== figures.streams) {
      throw new Error(
        `${figures.streams - figures.whole} of ${figures.streams} streams were not whole: ${figures.faults.join('; ')}`,
      );
    }
    return { ...figures, cpuUs: cpuUs(tree) - cpuBeforeUs, seconds: (performance.now() - beganMs) / 1000, maxBytes };
  } finally {
    clearInterval(sampler);
  }
}

function explained(error: unknown, subject: Subject, started: Started | undefined): Error {
  const said = started ? `\nIts last output:\n${lastWords(started.logFile)}` : '';
  return new Error(`${subject.name}: ${(error as Error).message}${said}`, { cause: error });
}
