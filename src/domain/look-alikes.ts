// Letters that look like a Latin letter or digit, in lower case: Cyrillic, Greek, Armenian, Cherokee, Coptic, Lisu, and
// rare Latin ones. Full-width and mathematical letters are missing because NFKC maps them to plain ones.

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
  // One letter that looks like two.
  rn: 'mмᴍꮇꓟⲙ',
  vv: 'wԝѡωᴡꮃꮤꓪⲱա',
  '-': '‐‑‒–—―−⁃',
  "'": '’‘ʼʹ′`´',
  '.': '․',
};

export const lookAlikes: ReadonlyMap<string, string> = new Map(
  Object.entries(byLetter).flatMap(([letter, signs]) => Array.from(signs, (sign) => [sign, letter] as const)),
);
