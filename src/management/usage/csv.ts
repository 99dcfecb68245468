// CSV (RFC 4180) for spreadsheets. A text that a spreadsheet would take for a formula gets an apostrophe in front: names and models
// are written by strangers (OWASP, CSV injection).

export function csvLine(values: readonly unknown[]): string {
  return `${values.map(field).join(',')}\r\n`;
}

/** Signs that begin a formula, in the widths in which an input method types them; East Asian Excel takes them as well. */
const sign = '[=+\\-@\\uff1d\\uff0b\\uff0d\\uff20\\ufe66\\ufe62\\ufe63\\ufe6b\\u2212]';
/** What a program may pass over before it looks: spaces of any kind, controls, and what is not seen. */
const passedOver = '[\\p{Z}\\p{C}\\p{Default_Ignorable_Code_Point}]';
const formula = new RegExp(`^(?:${passedOver}*${sign}|[\\p{Cc}\\ufeff])`, 'u');
/** A program that splits at other signs than ours finds a cell, and in it a formula, in the midst of a text. */
const innerFormula = new RegExp(`([;|\\t\\r\\n]["' ]*)(?=${sign})`, 'gu');

function field(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(innerFormula, "$1'");
  const safe = formula.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
