// /api/embed and the older /api/embeddings onto /v1/embeddings. The vectors are copied as the server writes them.
import { type JsonValue, type Outline, ofAnswers, scanObject } from '../../payload/strict-json.ts';
import { Field } from '../closed-object.ts';
import {
  type Answering,
  malformed,
  type Translated,
  type Translation,
  unfit,
  untranslatable,
  type Written,
} from '../translation.ts';
import { Figures } from './figures.ts';
import { acceptKeepAlive, acceptOnly, refuseOptions } from './options.ts';
import { unitVector } from './unit-vector.ts';

const outline: Outline = {
  known: new Set('model input prompt truncate dimensions options keep_alive'.split(' ')),
  inside: { options: { known: new Set() } },
  each: { input: { known: new Set() } },
};

export const embed: Translation = ({ bytes }, target) => {
  const members = new Map<string, Written>();
  let count = 0;
  new Field(bytes, scanObject(bytes, outline), '').members({
    model: () => undefined,
    input: (field) => {
      count = inputsOf(field);
      members.set('input', field.value);
    },
    dimensions: (field) => {
      if (field.number() > 0) members.set('dimensions', field.value);
    },
    // Such a server refuses a text that is too long.
    truncate: acceptOnly(false),
    options: (field) => refuseOptions(field, target),
    keep_alive: acceptKeepAlive,
  });
  if (!members.has('input')) throw unfit('input', 'is required');
  if (count === 0) throw untranslatable('input', 'is empty, which loads a model');
  const whole: Translated['whole'] = (answer, answering) => writeEmbeddings(answer, count, answering);
  return { path: '/v1/embeddings', members, whole, stream: undefined };
};

/** The number of texts. */
function inputsOf(field: Field): number {
  if (field.value.kind === 'string') return field.isEmptyText() ? 0 : 1;
  const items = field.items();
  for (const item of items) item.textSpan();
  return items.length;
}

export const embeddings: Translation = ({ bytes }, target) => {
  const members = new Map<string, Written>();
  new Field(bytes, scanObject(bytes, outline), '').members({
    model: () => undefined,
    prompt: (field) => {
      if (field.isEmptyText()) throw untranslatable(field.name, 'is empty, which loads a model');
      members.set('input', field.value);
    },
    options: (field) => refuseOptions(field, target),
    keep_alive: acceptKeepAlive,
  });
  if (!members.has('input')) throw unfit('prompt', 'is required');
  const whole: Translated['whole'] = (answer) => `{"embedding":${vectorsIn(answer, 1)[0]}}`;
  return { path: '/v1/embeddings', members, whole, stream: undefined };
};

function writeEmbeddings(answer: Buffer, count: number, answering: Answering): string {
  const vectors = vectorsIn(answer, count).map(unitVector);
  const figures = new Figures(answering);
  const usage = usageIn(answer);
  if (usage) figures.note({ usage });
  const { model } = answering;
  return `{"model":${JSON.stringify(model)},"embeddings":[${vectors.join()}]${figures.ofEmbedding()}}`;
}

const answerOutline: Outline = {
  known: new Set(),
  each: { data: { known: new Set() } },
  inside: { usage: { known: new Set() } },
};

/** The JSON text of each vector, in the order of the inputs. @throws GatewayError `upstream_failed`. */
function vectorsIn(answer: Buffer, count: number): string[] {
  const found: string[] = [];
  for (const [at, item] of itemsOf(answer).entries()) {
    const index = item.members?.get('index');
    const place = index ? Number(answer.toString('latin1', index.start, index.end)) : at;
    const vector = item.members?.get('embedding');
    if (
      !Number.isInteger(place) ||
      place < 0 ||
      place >= count ||
      vector?.kind !== 'array' ||
      found[place] !== undefined
    )
      throw malformed('embeddings that do not belong to the inputs');
    found[place] = answer.toString('latin1', vector.start, vector.end);
  }
  if (found.length !== count || found.includes(undefined as unknown as string))
    throw malformed('fewer embeddings than inputs');
  return found;
}

function itemsOf(answer: Buffer): readonly JsonValue[] {
  try {
    const items = scanObject(answer, answerOutline, ofAnswers).members.get('data')?.items;
    if (items) return items;
  } catch {
    // Not JSON.
  }
  throw malformed('no embeddings');
}

function usageIn(answer: Buffer): unknown {
  const usage = scanObject(answer, answerOutline, ofAnswers).members.get('usage');
  return usage?.kind === 'object'
    ? (JSON.parse(answer.toString('utf8', usage.start, usage.end)) as unknown)
    : undefined;
}
