// How the pages look: a colour and a picture of the operator's own.
import { z } from 'zod';
import { readLogo } from '../domain/logo.ts';
import { type LiveSetting, live, must, setting } from './kinds.ts';

export const appearanceSettings = {
  accentColor: live(
    'appearance',
    setting(
      'accent_color',
      z
        .string()
        .toLowerCase()
        .refine((text) => text === '' || /^#[0-9a-f]{6}$/.test(text), must('setting_color', {})),
      '',
      'colour',
      'Colour of buttons and links, as #2f6f4f; its shades are chosen so that text stays readable. Empty: vermilion.',
    ),
    { format: 'color' },
  ),
  logo: live(
    'appearance',
    setting(
      'logo',
      z
        .string()
        .max(100_000)
        .transform((text, context) => {
          const read = readLogo(text);
          if (typeof read === 'string') return read;
          context.addIssue({ code: 'custom', ...must(read.reason, read.parameters as never) });
          return z.NEVER;
        }),
      '',
      'data: URL',
      'Picture before the name on every page: PNG or SVG of up to 64 KiB, as data:image/png;base64,….',
    ),
    { format: 'image' },
  ),
} as const satisfies Record<string, LiveSetting>;
