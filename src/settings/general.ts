// What the gate is called and whom people ask.
import { z } from 'zod';
import { isOneLine, type LiveSetting, live, must, setting } from './kinds.ts';

export const generalSettings = {
  gateName: live(
    'general',
    setting(
      'gate_name',
      z.string().min(1).max(60).refine(isOneLine, must('setting_one_line', {})),
      'Sekisho',
      'text',
      'Name of this gateway on pages and in emails.',
    ),
  ),
  appealContact: live(
    'general',
    setting(
      'appeal_contact',
      z
        .string()
        .max(200)
        .refine((text) => /^[\x20-\x7e]*$/.test(text), must('setting_plain_text', {})),
      '',
      '',
      'Where suspended callers may appeal: an address or a page, shown in the refusal.',
    ),
  ),
  statusPage: live(
    'general',
    setting(
      'status_page',
      z.enum(['off', 'on']),
      'off',
      '',
      'Whether everybody may see at /portal/status which models work now and worked in the last 30 days.',
    ),
  ),
} as const satisfies Record<string, LiveSetting>;
