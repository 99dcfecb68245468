// Parses the Markdown of the shipped documents: headings, paragraphs, lists, tables, quotes and code blocks; inline code, links and
// bold. Anything else stays text.

export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly text: string }
  | { readonly kind: 'paragraph' | 'quote'; readonly text: string }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'list'; readonly ordered: boolean; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

export type Inline =
  | { readonly kind: 'text' | 'code' | 'strong'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly to: string };

const listItem = /^(\s*)(?:[-*]|(\d+)\.)\s+(.*)$/;

export function readBlocks(markdown: string): Block[] {
  const lines = markdown.replaceAll(/<!--[\s\S]*?-->/g, '').split('\n');
  const blocks: Block[] = [];
  let at = 0;
  const take = (while_: (line: string) => boolean): string[] => {
    const taken: string[] = [];
    while (at < lines.length && while_(lines[at] ?? '')) taken.push(lines[at++] ?? '');
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (line.trim() === '') at++;
    else if (line.startsWith('```')) {
      at++;
      blocks.push({ kind: 'code', text: take((each) => !each.startsWith('```')).join('\n') });
      at++;
    } else if (heading) {
      blocks.push({ kind: 'heading', level: heading[1]?.length ?? 1, text: heading[2] ?? '' });
      at++;
    } else if (line.startsWith('|')) blocks.push(tableOf(take((each) => each.startsWith('|'))));
    else if (line.startsWith('>'))
      blocks.push({
        kind: 'quote',
        text: take((each) => each.startsWith('>'))
          .map((each) => each.replace(/^>\s?/, ''))
          .join(' '),
      });
    else if (listItem.test(line)) blocks.push(listOf(take((each) => each.trim() !== '')));
    else
      blocks.push({
        kind: 'paragraph',
        text: take((each) => each.trim() !== '' && !/^(?:#|\||>|```)/.test(each) && !listItem.test(each)).join(' '),
      });
  }
  return blocks;
}

function tableOf(lines: readonly string[]): Block {
  const cells = (line: string): string[] =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|'));
  const [head = '', , ...rows] = lines;
  return { kind: 'table', head: cells(head), rows: rows.map(cells) };
}

/** Nested lists are flattened. */
function listOf(lines: readonly string[]): Block {
  const items: string[] = [];
  for (const line of lines) {
    const item = listItem.exec(line);
    if (item) items.push(item[3] ?? '');
    else items[items.length - 1] = `${items.at(-1) ?? ''} ${line.trim()}`;
  }
  return { kind: 'list', ordered: /^\s*\d/.test(lines[0] ?? ''), items };
}

export function readInline(text: string): Inline[] {
  return text
    .split(/(`[^`]+`|\[[^\]]*\]\([^)\s]*\)|\*\*[^*]+\*\*)/)
    .filter((piece) => piece !== '')
    .map((piece): Inline => {
      const link = /^\[([^\]]*)\]\(([^)\s]*)\)$/.exec(piece);
      if (link) return { kind: 'link', text: link[1] ?? '', to: link[2] ?? '' };
      if (/^`.+`$/.test(piece)) return { kind: 'code', text: piece.slice(1, -1) };
      if (/^\*\*.+\*\*$/.test(piece)) return { kind: 'strong', text: piece.slice(2, -2) };
      return { kind: 'text', text: piece };
    });
}
