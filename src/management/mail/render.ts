// An email as text, in the language of its reader.
import { english } from './english.ts';
import { japanese } from './japanese.ts';
import type { Email, EmailContent } from './mailer.ts';
import type { Draft, Templates } from './templates.ts';

export interface RenderedEmail {
  readonly subject: string;
  readonly text: string;
}

/** Plain text: nothing that somebody wrote elsewhere can become markup here. */
export function render({ language, about }: Email, gate: string): RenderedEmail {
  const { subject, lines } = draftOf(language === 'ja' ? japanese : english, about, gate);
  return { subject: `[${gate}] ${subject}`, text: `${lines.filter((line) => line !== '').join('\n\n')}\n` };
}

/** The template of its kind takes the content of its kind, which the type of a union cannot say. */
function draftOf(templates: Templates, about: EmailContent, gate: string): Draft {
  const template = templates[about.kind] as (about: EmailContent, gate: string) => Draft;
  return template(about, gate);
}
