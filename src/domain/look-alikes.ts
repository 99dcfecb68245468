// Letters that look like letters or digits of the Latin alphabet, lower case: Cyrillic, Greek, Armenian, Cherokee, Coptic, Lisu, and
// Latin's own rarer ones. Full-width and mathematical letters are not here; NFKC makes them plain.

const byLetter: Readonly<Record<string, string>> = {
  a: 'аαɑᴀꭺꓮⲁ',
  b: 'вьβʙꓐⲃ',
  c: 'сϲᴄꮯꓚⲥ',
  d: 'ԁꭰᴅꓓɗժ',
  e: 'еєεҽᴇꭼꓰⲉɛ',
  f: 'ғꞙϝꓝք',
  g: 'ɡɢցԍꮐꓖᶃ',
  h: 'һнհʜꮋꓧⲏ',
  j: 'јϳյꭻꓙȷ',
  k: 'кκᴋꮶꓗⲕқĸ',
  l: '1|iіιıɩɪӏʟꮮꓡꓲⲓլ׀ǀⵏ',
  n: 'ηпոռɴꓠⲛ',
  o: '0оοσօᴏꮎꓳⲟဝ০०௦๐໐',
  p: 'рρᴘꮲꓑⲣþϸ',
  q: 'ԛզգ',
  r: 'гᴦʀꭱꮁꓣⲅ',
  s: 'ѕꜱꮪꓢʂߑ',
  t: 'тτᴛꭲꓔⲧէ',
  u: 'υսᴜꓴ',
  v: 'νѵᴠꮩꓦ',
  y: 'уүγʏꮍꓬⲩყ',
  x: 'хχꭓꓫⲭ×',
  z: 'ᴢꮓꓜⲍʐ',
  // One letter that is drawn like two.
  rn: 'mмᴍꮇꓟⲙ',
  vv: 'wԝѡωᴡꮃꮤꓪⲱա',
  '-': '‐‑‒–—―−⁃',
  "'": '’‘ʼʹ′`´',
  '.': '․',
};

export const lookAlikes: ReadonlyMap<string, string> = new Map(
  Object.entries(byLetter).flatMap(([letter, signs]) => Array.from(signs, (sign) => [sign, letter] as const)),
);
