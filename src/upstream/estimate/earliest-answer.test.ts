import { describe, expect, test } from 'vitest';
import type { Demand } from '../../domain/demand.ts';
import { EarliestAnswer } from './earliest-answer.ts';
import type { Ranked } from './ranked.ts';
import type { CallReport } from './timings.ts';

const gigabyte = 1e9;

/** A server as the choice sees it, whose facts a test changes. */
class Seen implements Ranked {
  readonly name: string;
  onChange: () => void = () => undefined;
  others = { running: 0, waiting: 0 };
  health: Ranked['health'] = { rank: 0, lookMs: 1, slow: false };
  models: Ranked['models'];
  terms = { weight: 1 };
  inFlight = 0;
  revision = 0;
  lookedMs = 0;
  loaded: Map<string, number> | undefined;
  contexts = new Map<string, number>();
  readonly details: Ranked['details'] = {
    contextOf: (model) => this.contexts.get(model),
    loaded: undefined,
  };

  constructor(name: string, sizes: Record<string, number>, loaded: readonly string[] = Object.keys(sizes)) {
    this.name = name;
    this.models = {
      names: new Set(Object.keys(sizes)),
      remote: new Set(),
      sizes: new Map(Object.entries(sizes).map(([model, size]) => [model, size * gigabyte])),
    };
    Object.defineProperty(this.details, 'loaded', { get: () => this.loaded });
    this.loaded = new Map(loaded.map((model) => [model, (sizes[model] ?? 0) * gigabyte]));
  }
}

/** As a server does that has become worse than others. */
function fallTo(server: Seen, rank: number): void {
  server.health = { ...server.health, rank };
  server.onChange();
}

let now = 0;
const open = (slots = 4): EarliestAnswer<Seen> => new EarliestAnswer<Seen>({ slotsFor: () => slots, nowMs: () => now });
const want = (model: string, more: Partial<Demand<Seen>> = {}): Demand<Seen> => ({
  model,
  promptTokens: 500,
  answerTokens: 200,
  conversation: 0,
  prefix: 0,
  prefixTokens: 0,
  takes: () => true,
  ...more,
});
const reported = (
  more: Partial<CallReport> & { loadMs?: number; promptMs?: number; answerMs?: number },
): CallReport => ({
  nowMs: now,
  streamed: true,
  isExact: true,
  promptTokens: 500,
  cachedTokens: 0,
  answerTokens: 200,
  timings: {
    loadMs: more.loadMs ?? 5,
    promptMs: more.promptMs ?? 1_000,
    promptTokens: more.promptTokens ?? 500,
    isFresh: false,
    answerMs: more.answerMs ?? 6_000,
    answerTokens: 200,
  },
  ...more,
});

/** One call from its assignment to its end. */
function call(
  choice: EarliestAnswer<Seen>,
  server: Seen,
  demand: Demand<Seen>,
  report: Parameters<typeof reported>[0],
): void {
  const assignment = choice.assign(server, demand);
  const { loadMs = 5, promptMs = 1_000, answerMs = 6_000 } = report;
  now += loadMs + promptMs;
  assignment.began();
  now += answerMs;
  assignment.end();
  assignment.learn(reported({ ...report, nowMs: now }));
}

const names = (servers: readonly Seen[]): string[] => servers.map(({ name }) => name);
const first = (choice: EarliestAnswer<Seen>, servers: readonly Seen[], demand: Demand<Seen>, ahead = 0): string =>
  names(choice.ready(servers, demand, ahead))[0] as string;

describe('hard rules', () => {
  const model = { m: 4 };
  test('a server that does not take calls well, lacks the model, or may not have the call comes after every other', () => {
    const choice = open();
    const ill = new Seen('ill', model);
    fallTo(ill, 3);
    const servers = [ill, new Seen('lacks', { other: 4 }), new Seen('cold', model, []), new Seen('hidden', model)];
    const demand = want('m', { takes: ({ name }) => name !== 'hidden' });
    expect(names(choice.ready(servers, demand, 0))).toEqual(['cold']);
    expect(names(choice.order(servers, 'm', demand))).toEqual(['cold', 'ill', 'hidden', 'lacks']);
    expect(names(choice.order(servers, 'm'))).toEqual(['cold', 'hidden', 'ill', 'lacks']);
  });

  test('a server with too short a context comes after one that has to load the model', () => {
    const choice = open();
    const short = new Seen('short', model);
    short.contexts.set('m', 400);
    const servers = [short, new Seen('cold', model, [])];
    expect(first(choice, servers, want('m'))).toBe('cold');
    expect(first(choice, servers, want('m', { promptTokens: 300 }))).toBe('short');
  });

  test('a model that nobody lists goes to the server with the fewest calls', () => {
    const busy = new Seen('busy', { other: 4 });
    busy.inFlight = 2;
    const servers = [busy, new Seen('idle', { other: 4 })];
    expect(names(open().ready(servers, want('m'), 0))).toEqual(['idle', 'busy']);
  });

  test('a server that lists another model, or none any more, is found again', () => {
    const choice = open();
    const servers = [new Seen('a', { m: 4 }), new Seen('b', { m: 4 })];
    fallTo(servers[0]!, 3);
    expect(first(choice, servers, want('m'))).toBe('b');
    servers[1]!.models = { ...servers[1]!.models, names: new Set(['other']) };
    choice.listsChanged();
    expect(first(choice, servers, want('m'))).toBe('a');
  });
});

describe('loads', () => {
  test('a warm server gets the calls while its wait is shorter than a load elsewhere, then the cold one', () => {
    const choice = open(1);
    const servers = [new Seen('warm', { m: 4 }), new Seen('cold', { m: 4 }, [])];
    call(choice, servers[0]!, want('m'), { promptMs: 500, answerMs: 3_000 });
    expect(first(choice, servers, want('m'))).toBe('warm');
    // A slot is free in some three seconds, and a load takes four and a half.
    choice.assign(servers[0]!, want('m')).began();
    expect(first(choice, servers, want('m'))).toBe('warm');
    expect(names(choice.ready(servers, want('m'), 0))).toEqual(['warm']);
    // One more waits: another turn is longer than the load.
    expect(first(choice, servers, want('m'), 1)).toBe('cold');
  });

  test('a load that has begun is waited for, and not begun a second time', () => {
    const choice = open();
    const servers = ['a', 'b', 'c'].map((name) => new Seen(name, { m: 4 }, []));
    expect(first(choice, servers, want('m'))).toBe('a');
    choice.assign(servers[0]!, want('m'));
    now += 2_000;
    expect(names(choice.ready(servers, want('m'), 0))).toEqual(['a']);
  });

  test('the time of a load is learned from the call that caused it, and from no other', () => {
    const choice = open();
    const [server, other] = [new Seen('a', { m: 4 }, []), new Seen('b', { m: 4 }, [])];
    call(choice, server, want('m'), { loadMs: 9_000 });
    expect(choice.explain(server, 'm')).toMatchObject({ loadMs: 9_000, isLoaded: true });
    call(choice, server, want('m'), { loadMs: 400 });
    expect(choice.explain(server, 'm')?.loadMs).toBe(9_000);
    // Assumed of another machine, until it has its own.
    expect(choice.explain(other, 'm')?.loadMs).toBe(9_000);
  });

  test('a load that would take the memory of a model in use is charged for it', () => {
    const choice = open();
    const full = new Seen('full', { m: 4, used: 8 }, ['used']);
    const idle = new Seen('idle', { m: 4, idle: 8 }, ['idle']);
    call(choice, full, want('used'), {});
    expect(first(choice, [full, idle], want('m'))).toBe('idle');
    expect(first(choice, [idle, full], want('m'))).toBe('idle');
    // Some time later nobody waits for that model any more, and the first one is as good.
    now += 3_600_000;
    expect(first(choice, [full, idle], want('m'))).toBe('full');
  });

  test('a model whose memory a later load has taken counts as cold before the next probe', () => {
    const choice = open();
    const server = new Seen('a', { m: 8, n: 8 }, ['m']);
    call(choice, server, want('m'), {});
    expect(choice.explain(server, 'm')?.isLoaded).toBe(true);
    choice.assign(server, want('n'));
    expect(choice.explain(server, 'm')?.isLoaded).toBe(false);
  });

  test('a server that does not say what is in memory counts as having it', () => {
    const choice = open();
    const [silent, cold] = [new Seen('silent', { m: 4 }), new Seen('cold', { m: 4 }, [])];
    silent.loaded = undefined;
    expect(first(choice, [cold, silent], want('m'))).toBe('silent');
  });
});

describe('learned paces', () => {
  test('a call goes to the faster of two idle servers', () => {
    const choice = open();
    const [slow, fast] = [new Seen('slow', { m: 4 }), new Seen('fast', { m: 4 })];
    call(choice, slow, want('m'), { promptMs: 2_000 });
    call(choice, fast, want('m'), { promptMs: 200 });
    expect(first(choice, [slow, fast], want('m'))).toBe('fast');
    expect(choice.explain(slow, 'm')?.promptTokensPerSecond).toBeCloseTo(250);
    expect(choice.explain(fast, 'm')?.answerTokensPerSecond).toBeCloseTo(33.3, 1);
  });

  test('a model that has not run on a server is assumed to run there at the speed of the server', () => {
    const choice = open();
    const [slow, fast] = [new Seen('slow', { m: 4, n: 4 }), new Seen('fast', { m: 4, n: 4 })];
    for (let i = 0; i < 3; i++) {
      call(choice, fast, want('m'), { promptMs: 200 });
      call(choice, slow, want('m'), { promptMs: 4_000 });
    }
    expect(first(choice, [slow, fast], want('n'))).toBe('fast');
  });

  test('one outlier moves a settled average only up to a bound, and a lasting change moves it all the way', () => {
    const choice = open();
    const server = new Seen('a', { m: 4 });
    for (let i = 0; i < 6; i++) call(choice, server, want('m'), { promptMs: 500 });
    const pace = (): number => choice.explain(server, 'm')!.promptTokensPerSecond;
    call(choice, server, want('m'), { promptMs: 500_000 });
    expect(pace()).toBeGreaterThan(600);
    for (let i = 0; i < 30; i++) call(choice, server, want('m'), { promptMs: 5_000 });
    expect(pace()).toBeLessThan(110);
  });

  test.each([Number.NaN, -1, 0, 1e-9, 1e300, Infinity])('a duration of %d is ignored', (promptMs) => {
    const choice = open();
    const server = new Seen('a', { m: 4 });
    call(choice, server, want('m'), { promptMs: 1_000 });
    const before = choice.explain(server, 'm')!.promptTokensPerSecond;
    const assignment = choice.assign(server, want('m'));
    now += 5_000;
    assignment.end();
    assignment.learn(reported({ promptMs, nowMs: now }));
    const after = choice.explain(server, 'm')!.promptTokensPerSecond;
    expect(after / before).toBeGreaterThan(0.3);
    expect(after / before).toBeLessThan(1.01);
  });

  test('a server that says it is faster than it is loses its calls as soon as its answers begin late', () => {
    const choice = open();
    const [liar, honest] = [new Seen('liar', { m: 4 }), new Seen('honest', { m: 4 })];
    for (let i = 0; i < 3; i++) call(choice, honest, want('m'), { promptMs: 800 });
    for (let i = 0; i < 4; i++) {
      const assignment = choice.assign(liar, want('m'));
      now += 5_000;
      assignment.began();
      assignment.end();
      assignment.learn(reported({ promptMs: 10, nowMs: now }));
    }
    expect(first(choice, [liar, honest], want('m'))).toBe('honest');
    // Lateness is forgotten with time, so that it gets another chance.
    now += 3_600_000;
    expect(first(choice, [liar, honest], want('m'))).toBe('liar');
  });

  test('where a server says nothing, the paces are those that the gateway has seen', () => {
    const choice = open();
    const server = new Seen('a', { m: 4 });
    const assignment = choice.assign(server, want('m'));
    now += 250;
    assignment.began();
    now += 3_980;
    assignment.end();
    assignment.learn(reported({ timings: undefined, nowMs: now }));
    expect(choice.explain(server, 'm')?.promptTokensPerSecond).toBeCloseTo(2_000);
    expect(choice.explain(server, 'm')?.answerTokensPerSecond).toBeCloseTo(50);
  });
});

describe('what a server shows counts from the moment at which it shows it', () => {
  const servers = (): Seen[] => [new Seen('a', { m: 4 }), new Seen('b', { m: 4 })];
  test.each<[string, (server: Seen) => void]>([
    ['its state', (server) => (server.health = { ...server.health, rank: 2 })],
    ['a long way', (server) => (server.health = { ...server.health, lookMs: 900 })],
    ['late answers', (server) => (server.health = { ...server.health, slow: true })],
    ['calls without a turn', (server) => (server.inFlight = 5)],
    ['calls of its other clients', (server) => (server.others = { running: 3, waiting: 0 })],
    ['a queue of its other clients', (server) => (server.others = { running: 0, waiting: 2 })],
    ['another weight', (server) => Object.assign(server, { terms: { weight: 0.5 }, revision: 1 })],
    [
      'a model that left the memory',
      (server) => Object.assign(server, { loaded: new Map(), revision: 1, lookedMs: now }),
    ],
  ])('%s', (_, change) => {
    const choice = open();
    const [a, b] = servers() as [Seen, Seen];
    expect(first(choice, [a, b], want('m'))).toBe('a');
    change(a);
    a.onChange();
    expect(first(choice, [a, b], want('m'))).toBe('b');
  });

  test('calls that run on a server that is removed count for no other one, and end as they would have', () => {
    const choice = open();
    const [a, b] = servers() as [Seen, Seen];
    const running = [1, 2, 3].map(() => choice.assign(a, want('m')));
    choice.forget(a);
    // It gets the row of the one that is gone.
    const c = new Seen('c', { m: 4 });
    expect(first(choice, [b, c], want('m'))).toBe('b');
    for (const assignment of running) {
      assignment.began();
      assignment.end();
      assignment.learn(reported({ promptMs: 1, nowMs: now }));
    }
    for (const server of [b, c])
      expect(choice.explain(server, 'm')).toMatchObject({ inFlight: 0, waitMs: 0, calls: 0 });
    expect(names(choice.order([b, c], 'm', want('m')))).toEqual(['b', 'c']);
  });

  test('more servers than a table of rows has room for are told apart', () => {
    const choice = open();
    const many = Array.from({ length: 100 }, (_, at) => new Seen(`s${at}`, { m: 4 }));
    for (const server of many) if (server.name !== 's77') choice.assign(server, want('m'));
    expect(first(choice, many, want('m'))).toBe('s77');
  });
});

describe('calls count at once', () => {
  test('forty calls at the same moment after a probe are spread over the servers', () => {
    const choice = open(1_000);
    const servers = Array.from({ length: 20 }, (_, at) => new Seen(`s${at}`, { m: 4 }));
    for (let i = 0; i < 40; i++) choice.assign(choice.ready(servers, want('m'), 0)[0]!, want('m'));
    const spread = servers.map((server) => choice.explain(server, 'm')!.inFlight);
    expect([Math.min(...spread), Math.max(...spread)]).toEqual([2, 2]);
  });

  test('a server with twice the weight gets about twice the calls', () => {
    const choice = open(1_000);
    const servers = [new Seen('a', { m: 4 }), new Seen('b', { m: 4 })];
    servers[0]!.terms.weight = 2;
    for (let i = 0; i < 60; i++) choice.assign(choice.ready(servers, want('m'), 0)[0]!, want('m'));
    expect(choice.explain(servers[0]!, 'm')!.inFlight).toBeGreaterThanOrEqual(38);
    expect(choice.explain(servers[0]!, 'm')!.inFlight).toBeLessThanOrEqual(42);
  });

  test('whatever order calls begin, move and end in, nothing is left of them', () => {
    const choice = open();
    const servers = [new Seen('a', { m: 4 }, []), new Seen('b', { m: 4 }), new Seen('c', { m: 4, n: 9 })];
    const running = Array.from({ length: 30 }, (_, i) => choice.assign(servers[i % 3]!, want(i % 5 === 0 ? 'n' : 'm')));
    for (const [i, assignment] of running.entries()) {
      now += 7;
      if (i % 4 === 0) assignment.moveTo(servers[(i + 1) % 3]!);
      if (i % 3 !== 0) assignment.began();
      if (i % 7 === 0) assignment.end();
    }
    for (const assignment of running.toReversed()) {
      assignment.end();
      assignment.end();
    }
    for (const server of servers) expect(choice.explain(server, 'm')).toMatchObject({ inFlight: 0, waitMs: 0 });
  });
});

describe('a conversation', () => {
  const talk = (more: Partial<Demand<Seen>> = {}) => want('m', { conversation: 77, promptTokens: 2_000, ...more });

  test('stays at the server that has its text, while that is about as good as the best', () => {
    const choice = open(2);
    const servers = ['a', 'b'].map((name) => new Seen(name, { m: 4 }));
    call(choice, servers[1]!, talk(), { promptTokens: 2_000 });
    expect(first(choice, servers, talk({ promptTokens: 2_300 }))).toBe('b');
    expect(first(choice, servers, talk({ conversation: 78 }))).toBe('a');
    // Its wait is longer than reading the whole prompt elsewhere.
    for (let i = 0; i < 3; i++) choice.assign(servers[1]!, want('m', { promptTokens: 4_000 }));
    expect(first(choice, servers, talk({ promptTokens: 2_300 }))).toBe('a');
  });

  test('is free to go elsewhere once many other calls have probably taken its place in the cache', () => {
    const choice = open(1);
    const servers = ['a', 'b'].map((name) => new Seen(name, { m: 4 }));
    call(choice, servers[1]!, talk(), { promptTokens: 2_000 });
    for (let i = 0; i < 8; i++) call(choice, servers[1]!, want('m'), {});
    const held = choice.assign(servers[1]!, want('m', { promptTokens: 1_000 }));
    expect(first(choice, servers, talk())).toBe('a');
    held.end();
  });

  test('that is asked twice at once does not wait for itself', () => {
    const choice = open();
    const servers = ['a', 'b'].map((name) => new Seen(name, { m: 4 }));
    choice.assign(servers[0]!, talk());
    expect(first(choice, servers, talk())).toBe('b');
  });
});

describe('a text that conversations share', () => {
  let last = 0;
  const begin = (more: Partial<Demand<Seen>> = {}) =>
    want('m', { conversation: ++last, prefix: 9, prefixTokens: 1_500, promptTokens: 2_000, ...more });

  test('draws a new conversation to a server that has read it, while that is about as good as the best', () => {
    const choice = open(2);
    const servers = ['a', 'b', 'c'].map((name) => new Seen(name, { m: 4 }));
    call(choice, servers[1]!, begin(), { promptTokens: 2_000 });
    expect(first(choice, servers, begin())).toBe('b');
    expect(first(choice, servers, begin({ prefix: 8 }))).toBe('a');
    expect(first(choice, servers, begin({ prefix: 0 }))).toBe('a');
    // Its wait is longer than reading the whole text elsewhere; then two servers have it.
    const held = [1, 2].map(() => choice.assign(servers[1]!, want('m', { promptTokens: 4_000 })));
    expect(first(choice, servers, begin())).toBe('a');
    call(choice, servers[2]!, begin(), { promptTokens: 2_000 });
    expect(first(choice, servers, begin())).toBe('c');
    for (const assignment of held) assignment.end();
    const busy = choice.assign(servers[2]!, want('m', { promptTokens: 4_000 }));
    expect(first(choice, servers, begin())).toBe('b');
    busy.end();
  });

  test('saves nothing twice: a conversation stays where more of its text is', () => {
    const choice = open(4);
    const servers = ['a', 'b'].map((name) => new Seen(name, { m: 4 }));
    const talk = begin({ promptTokens: 8_000 });
    call(choice, servers[1]!, talk, { promptTokens: 8_000 });
    call(choice, servers[0]!, begin(), { promptTokens: 2_000 });
    expect(first(choice, servers, { ...talk, promptTokens: 8_200 })).toBe('b');
  });

  test('that is most of a prompt teaches no pace', () => {
    const choice = open(4);
    const server = new Seen('a', { m: 4 });
    call(choice, server, begin(), { promptTokens: 2_000, promptMs: 2_000 });
    expect(choice.explain(server, 'm')?.promptTokensPerSecond).toBeCloseTo(1_000);
    call(choice, server, begin(), { promptTokens: 2_000, promptMs: 100 });
    expect(choice.explain(server, 'm')?.promptTokensPerSecond).toBeCloseTo(1_000);
    // Of a prompt with little of it, the rest was read.
    call(choice, server, begin({ promptTokens: 6_500 }), { promptTokens: 6_500, promptMs: 5_000 });
    expect(choice.explain(server, 'm')?.promptTokensPerSecond).toBeCloseTo(1_000);
  });
});
