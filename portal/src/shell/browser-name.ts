// The part of a user agent that somebody would recognise: a browser and a system. Both are names, so they need no translation.

const browsers = [
  ['Edge', /\bEdg(?:A|iOS)?\//],
  ['Opera', /\bOPR\//],
  ['Samsung Internet', /\bSamsungBrowser\//],
  ['Firefox', /\b(?:Firefox|FxiOS)\//],
  ['Chrome', /\b(?:Chrome|CriOS|HeadlessChrome)\//],
  ['Safari', /\bSafari\//],
] as const;

const systems = [
  ['iPhone', /\biPhone\b/],
  ['iPad', /\biPad\b/],
  ['Android', /\bAndroid\b/],
  ['ChromeOS', /\bCrOS\b/],
  ['Windows', /\bWindows\b/],
  ['macOS', /\bMac OS X\b/],
  ['Linux', /\bLinux\b/],
] as const;

/** Undefined where it says neither. */
export function browserNameOf(userAgent: string): string | undefined {
  const named = [browsers, systems].flatMap((list) => list.find(([, shape]) => shape.test(userAgent))?.[0] ?? []);
  return named.length === 0 ? undefined : named.join(', ');
}
