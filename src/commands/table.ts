// Lays rows out as a table for a terminal: columns aligned by what characters take up there, and no line wider than the
// terminal. Cells that are too wide end in an ellipsis.

/** Two columns wide in a terminal: East Asian Wide and Fullwidth (Unicode UAX #11), and emoji. */
const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\u30fb\u30fc\uff01-\uff60\uffe0-\uffe6]/u;
/** Half-width forms are of these scripts and take one column. */
const narrow = /[\uff61-\uffdc]/u;
/** Combining marks and joiners take none. */
const none = /[\p{Mn}\p{Me}\u200b-\u200d]/u;

const widthOfSign = (sign: string): number => (none.test(sign) ? 0 : wide.test(sign) && !narrow.test(sign) ? 2 : 1);

/** Columns that a text takes up in a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const sign of text) width += widthOfSign(sign);
  return width;
}

const ellipsis = '…';

/** The text, or its beginning with an ellipsis, in at most this many columns. */
export function fitText(text: string, most: number): string {
  if (widthOf(text) <= most) return text;
  let kept = '';
  let width = widthOf(ellipsis);
  for (const sign of text) {
    width += widthOfSign(sign);
    if (width > most) break;
    kept += sign;
  }
  return kept + ellipsis;
}

const gap = 2;
/** A column is not narrowed below this. */
const leastWidth = 4;

/** One line for each row. `most`: columns of the terminal; undefined: no cell is shortened. */
export function tableLines(rows: readonly (readonly string[])[], most: number | undefined): string[] {
  const count = rows[0]?.length ?? 0;
  const natural = Array.from({ length: count }, (_, at) => Math.max(...rows.map((row) => widthOf(row[at] ?? ''))));
  const widths = most === undefined ? natural : fitted(natural, most - gap * (count - 1));
  return rows.map((row) =>
    widths
      .map((width, at) => {
        const text = fitText(row[at] ?? '', width);
        return text + ' '.repeat(width - widthOf(text));
      })
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}

/** Narrows the widest columns, as far as they go, until all fit. */
function fitted(natural: readonly number[], most: number): readonly number[] {
  const widths = [...natural];
  for (let over = widths.reduce((sum, width) => sum + width, 0) - most; over > 0; over--) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] as number) <= leastWidth) break;
    widths[widest] = (widths[widest] as number) - 1;
  }
  return widths;
}
