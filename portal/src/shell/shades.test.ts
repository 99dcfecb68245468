import { expect, test } from 'vitest';
import { luminanceOf, shadesOf, vermilion } from './shades.ts';

const contrast = (one: string, other: string): number => {
  const [light, dark] = [luminanceOf(one), luminanceOf(other)].toSorted((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
};

/** Every colour of a grid, the pure ones, and greys. */
const colors: string[] = [];
for (let red = 0; red < 256; red += 51)
  for (let green = 0; green < 256; green += 51)
    for (let blue = 0; blue < 256; blue += 51)
      colors.push(`#${[red, green, blue].map((part) => part.toString(16).padStart(2, '0')).join('')}`);

test('whatever the accent is, each of its shades has the contrast of our own palette, in light and dark', () => {
  for (const color of colors) {
    const shades = shadesOf(color);
    for (const [at, shade] of shades.entries()) {
      expect(shade).toMatch(/^#[0-9a-f]{6}$/);
      for (const ground of ['#ffffff', '#242424'])
        expect(contrast(shade, ground) / contrast(vermilion[at] as string, ground), `${color} ${at}`).toBeCloseTo(1, 1);
    }
    // Text on buttons and links, and the text of a light button on its ground.
    expect(contrast(shades[7], '#ffffff'), color).toBeGreaterThan(4.5);
    expect(contrast(shades[4], '#242424'), color).toBeGreaterThan(4.5);
    expect(contrast(shades[9], shades[1]), color).toBeGreaterThan(4.5);
  }
});

test('a green accent is green, and a grey one grey', () => {
  const [red, green, blue] = (shadesOf('#2f6f4f')[7].match(/[0-9a-f]{2}/g) ?? []).map((part) =>
    Number.parseInt(part, 16),
  );
  expect(green).toBeGreaterThan(Math.max(red as number, blue as number));
  expect(new Set(shadesOf('#808080')[7].match(/[0-9a-f]{2}/g)).size).toBe(1);
});
