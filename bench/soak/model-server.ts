// The model server of a soak: the fake one, which counts each exchange itself and applies the fault planned for it.
import { defaultAnswer } from '../../test/fake-ollama/answers.ts';
import type { Answer, FakeOllama, Script } from '../../test/fake-ollama/fake-ollama.ts';
import { type Asked, mostPieces, piece } from './mix.ts';

/** From now on, answers as planned for the number in each prompt. */
export function play(fake: FakeOllama, underWay: ReadonlyMap<number, Asked>): void {
  fake.pieces = Array.from({ length: mostPieces }, () => piece);
  const { host, port } = fake;
  const script: Script = async (request, answer, server) => {
    server.next(script);
    const text = request.method === 'POST' ? (await request.body).toString() : '';
    const asked = underWay.get(Number(/exchange-(\d+)/.exec(text)?.[1]));
    if (!asked) return defaultAnswer(request, answer, server);
    asked.reached?.();
    if (asked.fate === 'leaves before the head') return request.aborted;
    if (asked.fate === 'meets a 500')
      return answer.whole(500, { 'Content-Type': 'application/json' }, '{"error":"the runner has crashed"}');
    // The same server, reporting to another counter.
    const counting = Object.create(server, {
      host: { value: host },
      port: { value: port },
      totals: { value: asked.own },
    }) as FakeOllama;
    return defaultAnswer(request, shaped(asked, answer, request.aborted), counting);
  };
  fake.next(script);
}

function shaped(asked: Asked, answer: Answer, aborted: Promise<void>): Answer {
  const stalls = asked.fate === 'leaves in mid-stream' || asked.fate === 'is held until its key is revoked';
  const breaks = asked.fate === 'is reset in mid-stream' || asked.fate === 'ends without its mark';
  return {
    gone: answer.gone,
    head: (status, headers) => answer.head(status, headers),
    end: () => answer.end(),
    reset: () => answer.reset(),
    hangUp: () => answer.hangUp(),
    raw: (bytes) => answer.raw(bytes),
    chunk: async (bytes) => {
      if ((stalls || breaks) && asked.said >= asked.cutAfter) {
        if (stalls) await aborted;
        else if (asked.fate === 'is reset in mid-stream') answer.reset();
        else answer.end();
        return false;
      }
      if (typeof bytes === 'string') {
        if (bytes.includes(piece)) asked.said++;
        const started = /"type":"message_start".*"input_tokens":(\d+)/.exec(bytes)?.[1];
        if (started !== undefined) asked.promptSaid = Number(started);
      }
      return answer.chunk(bytes);
    },
    whole: (status, headers, body) => {
      asked.wrote = Buffer.byteLength(body);
      if (asked.fate !== 'breaks as a whole answer') return answer.whole(status, headers, body);
      const half = body.slice(0, Math.floor(body.length / 2));
      answer.raw(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${asked.wrote}\r\n\r\n`);
      asked.wrote = Buffer.byteLength(half);
      answer.raw(half);
      return answer.hangUp();
    },
  };
}
