// Renders an email as text, in the language of its recipient.
import { english } from './english.ts';
import { japanese } from './japanese.ts';
import type { Email, EmailContent } from './mailer.ts';
import type { Draft, Templates } from './templates.ts';

export interface RenderedEmail {
  readonly subject: string;
  readonly text: string;
}

/** Plain text, so user-supplied text cannot become markup. */
export function render({ language, about }: Email, gate: string): RenderedEmail {
  const { subject, lines } = draftOf(language === 'ja' ? japanese : english, about, gate);
  return { subject: `[${gate}] ${subject}`, text: `${lines.filter((line) => line !== '').join('\n\n')}\n` };
}

/** The template of a kind takes the content of that kind, which the union type cannot express. */
function draftOf(templates: Templates, about: EmailContent, gate: string): Draft {
  const template = templates[about.kind] as (about: EmailContent, gate: string) => Draft;
  return template(about, gate);
}
