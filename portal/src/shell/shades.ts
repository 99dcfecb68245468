// The ten shades of an accent colour. Contrast depends on luminance alone (WCAG 2.2, 1.4.3), so each shade gets the luminance of the
// same shade of our own palette, which is readable where it stands, and takes only its hue and its strength from the colour. So no
// accent can make a text unreadable, in light or dark.

export const vermilion = [
  '#fdf0ec',
  '#f8ded6',
  '#efbaab',
  '#e7947d',
  '#e07355',
  '#dc5f3d',
  '#da5430',
  '#b3402a',
  '#9c3522',
  '#7f2818',
] as const;

export type Shades = readonly [string, string, string, string, string, string, string, string, string, string];
type Three = readonly [number, number, number];

/** The shade of filled buttons, which the colour itself stands for. */
const main = 7;
const steps = 24;

export function shadesOf(color: string): Shades {
  const { chroma, hue } = labOf(linearOf(color));
  const ours = vermilion.map((shade) => ({ luminance: luminanceOf(shade), ...labOf(linearOf(shade)) }));
  const strongest = ours[main]?.chroma ?? 1;
  return ours.map((shade) => shadeWith(shade.luminance, (chroma * shade.chroma) / strongest, hue)) as unknown as Shades;
}

/** As WCAG defines it. */
export function luminanceOf(color: string): number {
  const [red, green, blue] = linearOf(color);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The colour of that luminance and hue, and as much of that strength as a screen can show. */
function shadeWith(luminance: number, chroma: number, hue: number): string {
  let [low, high] = [0, 1];
  for (let step = 0; step < steps; step++) {
    const lightness = (low + high) / 2;
    if (luminanceOfLinear(shown(lightness, chroma, hue)) < luminance) low = lightness;
    else high = lightness;
  }
  return hexOf(shown((low + high) / 2, chroma, hue));
}

function shown(lightness: number, chroma: number, hue: number): Three {
  const whole = fromLab(lightness, chroma, hue);
  if (isShowable(whole)) return whole;
  let [low, high] = [0, chroma];
  for (let step = 0; step < steps; step++) {
    const middle = (low + high) / 2;
    if (isShowable(fromLab(lightness, middle, hue))) low = middle;
    else high = middle;
  }
  return fromLab(lightness, low, hue);
}

const isShowable = (color: Three): boolean => color.every((part) => part >= -1e-6 && part <= 1 + 1e-6);
const luminanceOfLinear = ([red, green, blue]: Three): number => 0.2126 * red + 0.7152 * green + 0.0722 * blue;

function linearOf(color: string): Three {
  const part = (at: number): number => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [part(1), part(3), part(5)];
}

function hexOf(color: Three): string {
  const part = (linear: number): string => {
    const value = Math.min(1, Math.max(0, linear));
    const encoded = value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055;
    return Math.round(encoded * 255)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${color.map(part).join('')}`;
}

/** Strength and hue in OKLab (Ottosson 2020). */
function labOf([red, green, blue]: Three): { readonly chroma: number; readonly hue: number } {
  const l = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
  const m = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
  const s = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
  const a = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
  const b = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  return { chroma: Math.hypot(a, b), hue: Math.atan2(b, a) };
}

function fromLab(lightness: number, chroma: number, hue: number): Three {
  const [a, b] = [chroma * Math.cos(hue), chroma * Math.sin(hue)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}
