import { crc32, deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { logoOf, readLogo } from './logo.ts';

const svgUrl = (text: string): string => `data:image/svg+xml;base64,${Buffer.from(text).toString('base64')}`;
const readSvgText = (text: string): string | undefined => {
  const read = readLogo(svgUrl(text));
  return typeof read === 'string' ? logoOf(read)?.bytes.toString() : undefined;
};
const root = 'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"';

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

function png(width: number, height: number, more: readonly Buffer[] = []): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const pixels = deflateSync(Buffer.alloc(Math.min(height, 4) * (1 + 3 * Math.min(width, 4))));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    ...more,
    chunk('IDAT', pixels),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const pngUrl = (bytes: Buffer): string => `data:image/png;base64,${bytes.toString('base64')}`;

test('an SVG is rewritten with what draws, and without what editors leave in it', () => {
  const text = `<?xml version="1.0"?><!-- made by an editor -->
    <svg ${root} xmlns:inkscape="x" inkscape:version="1" class="a"><metadata><rdf:RDF x="y"/></metadata>
    <defs><linearGradient id="g"><stop offset="0" stop-color="#fff"/></linearGradient></defs>
    <g style="fill:url(#g);-inkscape-font:x;stroke:none"><path d="M0 0h8v8z"/><use xlink:href="#g"/></g><title>A &amp; B</title></svg>`;
  const read = readSvgText(text) ?? '';
  expect(read).toContain('<g fill="url(#g)" stroke="none"><path d="M0 0h8v8z"/><use href="#g"/></g>');
  expect(read).toContain('<title>A &amp; B</title>');
  expect(read).not.toMatch(/inkscape|metadata|rdf|<!--|\?xml|class/);
  // It stays what it is.
  expect(readSvgText(read)).toBe(read);
});

test.each([
  ['a script', `<svg ${root}><script>alert(1)</script></svg>`],
  ['a script of another case', `<svg ${root}><SCRIPT>alert(1)</SCRIPT></svg>`],
  ['a script of another name space', `<svg ${root}><x:script xmlns:x="http://www.w3.org/2000/svg">1</x:script></svg>`],
  ['a handler', `<svg ${root} onload="alert(1)"/>`],
  ['a handler in what is left in', `<svg ${root}><g onclick='x'/></svg>`],
  ['a page inside', `<svg ${root}><foreignObject><p>x</p></foreignObject></svg>`],
  ['a link', `<svg ${root}><a href="https://evil.example"><path d=""/></a></svg>`],
  ['another file', `<svg ${root}><image href="https://evil.example/x.png"/></svg>`],
  ['another file by use', `<svg ${root}><use href="https://evil.example/x.svg#a"/></svg>`],
  ['a data: URL by use', `<svg ${root}><use href="data:image/svg+xml;base64,AA#a"/></svg>`],
  ['a style sheet', `<svg ${root}><style>@import "https://evil.example"</style></svg>`],
  ['a url of elsewhere', `<svg ${root}><path fill="url(https://evil.example/#a)"/></svg>`],
  ['a url with an escape', `<svg ${root}><path fill="u\\72l(https://evil.example)"/></svg>`],
  ['a url in a style', `<svg ${root}><path style="fill:url('//evil.example')"/></svg>`],
  ['a url of character references', `<svg ${root}><path fill="&#117;rl(//evil.example)"/></svg>`],
  ['an animation of a link', `<svg ${root}><animate attributeName="href" to="javascript:x"/></svg>`],
  ['an entity', `<!DOCTYPE svg [<!ENTITY a "b">]><svg ${root}><title>&a;</title></svg>`],
  ['an unknown entity', `<svg ${root}><title>&nbsp;</title></svg>`],
  ['a section of data', `<svg ${root}><title><![CDATA[<script>]]></title></svg>`],
  ['a processing instruction', `<svg ${root}><?xml-stylesheet href="x"?></svg>`],
  ['two roots', `<svg ${root}/><svg ${root}/>`],
  ['an open end', `<svg ${root}><g>`],
  ['tags that cross', `<svg ${root}><g><path></g></path></svg>`],
  ['an attribute without quotes', `<svg ${root}><path d=M0/></svg>`],
  ['a comment without an end', `<svg ${root}><!-- `],
  ['no svg', '<html></html>'],
  ['nothing', ' '],
  ['a control character', `<svg ${root}><title>\u0000</title></svg>`],
  ['a hundred levels', `<svg ${root}>${'<g>'.repeat(100)}${'</g>'.repeat(100)}</svg>`],
])('an SVG with %s is refused', (_, text) => {
  expect(readSvgText(text)).toBeUndefined();
});

test('a long SVG of one kind of sign is read or refused without looking at it again and again', () => {
  for (const part of ['<', '<g ', '<!--', '&', ' a="', '<g a="b" ', 'url(', '<svg>'])
    expect(readSvgText(`<svg ${root}>${part.repeat(60_000 / part.length)}`)).toBeUndefined();
});

test('a PNG keeps what is drawn and loses what else it holds', () => {
  const text = chunk('tEXt', Buffer.from('Comment\0here is the secret'));
  const read = readLogo(pngUrl(png(4, 4, [text])));
  expect(read).toBe(pngUrl(png(4, 4)));
});

test('a PNG that is too large, broken or says that it is endless is refused with the reason', () => {
  const reason = (url: string): unknown => {
    const read = readLogo(url);
    return typeof read === 'string' ? read : read.reason;
  };
  expect(reason(pngUrl(png(100_000, 4)))).toBe('logo_wide');
  expect(reason(pngUrl(png(4, 4, [chunk('tEXt', Buffer.alloc(70_000))])))).toBe('logo_large');
  const whole = png(4, 4);
  for (const end of [7, 20, 40, whole.length - 1]) expect(reason(pngUrl(whole.subarray(0, end)))).toBe('logo_broken');
  const bent = Buffer.from(whole);
  bent[20] = 9;
  expect(reason(pngUrl(bent))).toBe('logo_broken');
  for (const url of ['x', 'data:text/html;base64,AA==', 'data:image/gif;base64,AA==', 'data:image/png,AA'])
    expect(reason(url)).toBe('logo_shape');
});
