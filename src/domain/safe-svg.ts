// Reads an SVG and rewrites it from a list of elements and attributes that draw. Scripts, styles, links, other files and entities
// are refused by name, because an SVG is a document that a browser runs when it is opened by itself; what editors leave in it
// (comments, metadata, their own names) is left out. The gate also serves it with a policy that runs nothing.
import { Unreadable } from './sentences.ts';

const elements = new Set(
  (
    'svg g path rect circle ellipse line polyline polygon defs symbol use text tspan title desc ' +
    'linearGradient radialGradient stop clipPath mask pattern'
  ).split(' '),
);
const attributes = new Set(
  (
    'id x y x1 y1 x2 y2 cx cy r rx ry fx fy dx dy d points width height viewBox preserveAspectRatio transform version ' +
    'fill fill-rule fill-opacity stroke stroke-width stroke-linecap stroke-linejoin stroke-miterlimit stroke-dasharray ' +
    'stroke-dashoffset stroke-opacity opacity color clip-path clip-rule mask offset stop-color stop-opacity gradientUnits ' +
    'gradientTransform spreadMethod clipPathUnits maskUnits maskContentUnits patternUnits patternContentUnits ' +
    'patternTransform font-family font-size font-style font-weight letter-spacing text-anchor dominant-baseline ' +
    'vector-effect paint-order shape-rendering text-rendering display visibility overflow role aria-label href'
  ).split(' '),
);
/** What editors write for themselves, with everything in it. */
const leftOut = /^(?:metadata|(?:sodipodi|inkscape|sketch|rdf|dc|cc):[\w.-]+)$/i;
const dropped =
  /^(?:xmlns:[\w.-]+|(?:sodipodi|inkscape|sketch|xml|rdf|dc|cc|serif):[\w.-]+|class|data-[\w-]+|enable-background)$/i;

const tag = /<(\/?)([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const attribute = /([\w:.-]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/g;
const mostDepth = 64;

/** @throws Unreadable. */
export function readSvg(text: string): string {
  const rest = text.replace(/^\uFEFF?\s*(?:<\?xml[^<>]*\?>)?/, '');
  const writer = new Writer();
  let at = 0;
  while (at < rest.length) {
    if (rest.startsWith('<!--', at)) {
      const end = rest.indexOf('-->', at);
      if (end < 0) throw broken();
      at = end + 3;
    } else if (rest[at] === '<') {
      tag.lastIndex = at;
      const match = tag.exec(rest);
      if (!match)
        throw rest.startsWith('<!', at) || rest.startsWith('<?', at) ? refused(rest.slice(at, at + 9)) : broken();
      writer.tag(match);
      at = tag.lastIndex;
    } else {
      const end = rest.indexOf('<', at);
      writer.text(rest.slice(at, end < 0 ? undefined : end));
      at = end < 0 ? rest.length : end;
    }
  }
  return writer.end();
}

class Writer {
  readonly #open: string[] = [];
  /** How deep what is left out began; -1 outside of it. */
  #outFrom = -1;
  #out = '';
  #isOver = false;

  tag([, close = '', name = '', given = '', empty = '']: RegExpExecArray): void {
    if (close !== '') {
      if (given !== '' || empty !== '' || this.#open.pop() !== name) throw broken();
      if (this.#outFrom < 0) this.#out += `</${name}>`;
      if (this.#outFrom === this.#open.length) this.#outFrom = -1;
      this.#isOver = this.#open.length === 0;
      return;
    }
    if (this.#isOver || (this.#open.length === 0 && name !== 'svg') || this.#open.length >= mostDepth) throw broken();
    const isOut = this.#outFrom >= 0 || leftOut.test(name);
    if (!isOut) this.#out += `<${this.#known(name)}${attributesOf(name, given, this.#open.length === 0)}${empty}>`;
    if (empty !== '') this.#isOver = this.#open.length === 0;
    else {
      if (isOut && this.#outFrom < 0) this.#outFrom = this.#open.length;
      this.#open.push(name);
    }
  }

  text(text: string): void {
    if (this.#outFrom >= 0) return;
    if (this.#open.length === 0 && text.trim() !== '') throw broken();
    this.#out += written(text);
  }

  end(): string {
    if (!this.#isOver || this.#open.length > 0) throw broken();
    return this.#out.trim();
  }

  #known(name: string): string {
    if (!elements.has(name)) throw refused(name);
    return name;
  }
}

function attributesOf(element: string, given: string, isRoot: boolean): string {
  const kept = new Map<string, string>(isRoot ? [['xmlns', 'http://www.w3.org/2000/svg']] : []);
  for (const [, name = '', double, single = ''] of given.matchAll(attribute)) {
    if (name === 'xmlns' || dropped.test(name)) continue;
    const value = double ?? single;
    const plain = name === 'xlink:href' ? 'href' : name;
    if (name === 'style')
      for (const [property, held] of declarationsOf(value)) kept.set(property, checked(property, held));
    else if (attributes.has(plain)) kept.set(plain, checked(plain, value));
    else throw refused(name);
  }
  if (kept.has('href') && element !== 'use' && !element.endsWith('Gradient') && element !== 'pattern')
    throw refused('href');
  return [...kept].map(([name, value]) => ` ${name}="${value}"`).join('');
}

/** `style="fill:red"` says the same as `fill="red"`; properties that do not draw are editors' own. */
function declarationsOf(style: string): [string, string][] {
  return style.split(';').flatMap((part): [string, string][] => {
    const colon = part.indexOf(':');
    const name = part.slice(0, Math.max(0, colon)).trim();
    if (part.trim() === '' || name.startsWith('-')) return [];
    return attributes.has(name) && name !== 'href' ? [[name, part.slice(colon + 1).trim()]] : [];
  });
}

/** A reference leads to something in the same file; no other text means anything to a browser but itself. */
function checked(name: string, value: string): string {
  const text = written(value).replaceAll('"', '&quot;');
  if (name === 'href' && !/^#[\w.-]+$/.test(text)) throw refused(`href="${value.slice(0, 40)}"`);
  if (/url\s*\(/i.test(text.replaceAll(/url\(#[\w.-]+\)/g, ''))) throw refused('url()');
  if (/[\\]|\/\*|javascript:|@import|expression\s*\(|image(?:-set)?\s*\(/i.test(text)) throw refused(name);
  return text;
}

/** Characters and the five entities of XML, each written in one way. @throws Unreadable for other entities and controls. */
function written(text: string): string {
  const plain = text.replaceAll(/&(#x?[0-9a-f]+|\w+);/gi, (whole, name: string) => {
    const sign = characterOf(name);
    if (sign === undefined) throw refused(whole.slice(0, 20));
    return sign;
  });
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/.test(plain)) throw broken();
  return plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function characterOf(name: string): string | undefined {
  if (!name.startsWith('#')) return Object.hasOwn(entities, name) ? entities[name] : undefined;
  const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
  return code > 0 && code < 0xd800 ? String.fromCharCode(code) : undefined;
}

const refused = (what: string): Unreadable => new Unreadable('logo_refused', { what });
const broken = (): Unreadable => new Unreadable('logo_broken', {});
