// CSV (RFC 4180) for spreadsheets. A text that a spreadsheet would interpret as a formula gets a leading apostrophe, because
// names and models are untrusted (OWASP, CSV injection).

export function csvLine(values: readonly unknown[]): string {
  return `${values.map(field).join(',')}\r\n`;
}

/** Characters that start a formula, including the full-width forms, which East Asian Excel accepts. */
const sign = '[=+\\-@\\uff1d\\uff0b\\uff0d\\uff20\\ufe66\\ufe62\\ufe63\\ufe6b\\u2212]';
/** Characters that a program may skip first: spaces, controls, and invisible characters. */
const passedOver = '[\\p{Z}\\p{C}\\p{Default_Ignorable_Code_Point}]';
const formula = new RegExp(`^(?:${passedOver}*${sign}|[\\p{Cc}\\ufeff])`, 'u');
/** A program that splits at other separators could find a cell with a formula inside a text. */
const innerFormula = new RegExp(`([;|\\t\\r\\n]["' ]*)(?=${sign})`, 'gu');

function field(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(innerFormula, "$1'");
  const safe = formula.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
