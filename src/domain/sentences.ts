// Every sentence with which a request is refused, once: a reason for programs, and the English with its parameters. The pages
// have the same in Japanese (portal/src/words/refusals.ts). No other module writes such a sentence, so that none reaches a
// page in the wrong language. Readers in domain/ say clauses, which begin in lower case and end without a full stop.

import { routeSentences } from './sentences-routes.ts';

export const sentences = {
  ...routeSentences,
  plan_missing: 'There is no plan "{name}"; the plans are {plans}.',
  plan_unknown: 'There is no plan "{name}".',
  plan_name: 'A plan is named with small letters, digits and dashes.',
  plan_taken: 'There is a plan "{name}" already.',
  plan_changed: 'Somebody else has just changed the plan "{name}"; look at it and try again.',
  plan_default: 'The plan "default" is what new accounts get; it cannot be deleted.',
  plan_registers: 'New accounts get the plan "{name}"; choose another one for registration first.',
  plan_invites: 'An invitation that is open gives the plan "{name}"; it can be deleted afterwards.',
  plan_has_server: 'The model server "{server}" is for the plan "{name}"; change it first.',
  plan_has_model_name: 'The model name "{model}" has a model for the plan "{name}"; change it first.',
  plan_in_use: 'Accounts still have the plan "{name}"; give them another first.',
  plan_keep_alive: 'minKeepAliveSeconds is above maxKeepAliveSeconds.',
  maintenance_over: 'The time at which maintenance ends has passed already.',
  announcement_missing: 'There is no announcement {id}.',
  announcement_changed: 'The announcement {id} has just been changed or deleted; look at it and try again.',
  announcement_empty: 'An announcement needs a text in English or Japanese.',
  announcement_over: 'The announcement would be over before it is shown.',
  announcement_header_long: 'The announcement is too long for a header: at most {most} bytes, percent-encoded.',
  announcements_full: 'There are {most} announcements already; delete one first.',
  status_page_off: 'This gate has no public status page.',
  preview_of_nothing: 'Name an account, a key or a plan.',
  key_of_another_account: 'That key is not of that account.',
  rule_missing: 'There is no rule "{name}"; the rules are {rules}.',
  rule_taken: 'There is a rule "{name}" already.',
  rule_named_twice: 'A rule has one name.',
  rule_keeps_name: 'A rule keeps its name; make another and delete this one.',
  key_missing: 'There is no key {id}.',
  key_expired_already: 'The key would have expired already.',
  key_beyond_maker: 'The key that asks makes no key beyond itself: {beyond}.',
  keys_of_pages_full: '{count} pages of {account} hold a key already; close one, or wait an hour.',
  keys_passing_full: '{account} holds {count} keys for an hour already; they end by themselves.',
  keys_full: '{account} holds {held} working keys, and the plan {plan} allows {most}. Revoke one first.',
  keys_full_beside: '{account} holds {held} other working keys, and the plan {plan} allows {most}. Revoke one first.',
  key_lives_too_long: 'The plan {plan} lets a key live {days} days at most.',
  role_lacks_scope: '{account} has the role {role}, and {scope} is not for it.',
  plan_lacks_scope: 'The plan {plan} does not allow {scopes}; it allows {allowed}.',
  key_needs_scope: 'a key needs at least one scope',
  key_needs_model: 'a key needs at least one model pattern; * is every local model',
  key_needs_address: 'an empty address list would allow nobody; leave it out to allow everybody',
  account_closed: 'That account is closed.',
  nothing_to_narrow: '{account} has no plan that a key could narrow; its calls are not counted.',
  nothing_to_narrow_here: '{account} has no plan that a key could narrow.',
  public_key_taken: 'That public key is registered already.',
  public_key_rotation: 'A public key cannot be rotated here: register the new one, then revoke this one.',
  key_over: '{id} is not active any more; make a new key instead.',
  key_just_over: '{id} is not active any more.',
  key_predecessor: '{id}, which this key replaced, works until {until}; revoke it first.',
  key_two_kinds: 'A key is a public key or a certificate, not both.',
  public_key_shape: 'That is not an ed25519 public key; give the line of ~/.ollama/id_ed25519.pub.',
  certificate_shape: 'That is no certificate in PEM (-----BEGIN CERTIFICATE-----).',
  account_taken: 'There is an account "{name}" already.',
  account_name_like_id: 'A name that looks like an id would be taken for one; give the account another name.',
  account_missing: 'There is no account "{name}".',
  account_missing_id: 'There is no account {id}.',
  account_look_alike: `That name looks like "{name}", which is another account's.`,
  last_operator: 'This is the last operator who can sign in. Make another one first.',
  unlimited_operator: 'Only an operator can be without limits.',
  own_account_plan: "The operator's own account has no plan. Create another account for someone with limits.",
  own_account: "The gate's own account stays what it is.",
  rejected_plan: 'A rejected applicant gets no plan.',
  invite_missing: 'There is no invitation {id}.',
  application_decided: '{id} has been decided already.',
  applicant_has_account: 'The applicant has an account already.',
  application_not_reopened: 'Only a rejection of the last ten minutes can be taken back.',
  application_missing: 'There is no such application.',
  application_missing_id: 'There is no application {id}.',
  email_shape: 'That is not an e-mail address.',
  invite_life: 'An invitation lives at most 30 days.',
  registration_mode: 'mode is one of {modes}.',
  registration_plan: 'plan is the name of a plan.',
  registration_domains: '{name} is a list of at most 100 domains.',
  registration_pending: 'maxPending is a whole number from 0 to 1,000,000.',
  registration_field: 'Registration has no "{name}"; it has mode, plan, domains, dotless and maxPending.',
  domain_shape: '"{word}" is not a domain such as example.org.',
  email_too_often: 'Enough emails went to that address for now. Come back in an hour.',
  applications_full: 'Too many applications wait for a decision. Come back later.',
  invite_refused: 'That takes an invitation, and this one is not there, used, over, or for somebody else.',
  application_waits: 'Your application waits for a decision already.',
  applications_from_network: 'Too many applications from your network wait to be confirmed. Come back later.',
  email_sent_already: 'Open one of the emails that were sent to that address already.',
  applications_closed: 'This gate takes no applications.',
  have_account: 'You have an account already.',
  route_missing: 'There is no route "{name}".',
  routes_full: 'There are {most} routes already, which is the most.',
  route_taken: 'There is a route "{name}" already.',
  route_changed: 'The route "{name}" has just been changed or removed; look at it and try again.',
  address_is_gate: '{address} is this gate itself; its calls would go round for ever.',
  route_files_unset: 'Files of routes lie in the directory of the setting server_files, which is not set.',
  file_name: 'A file is named without its directory, with letters, digits, dots, dashes and underscores.',
  request_missing:
    'There is no record of {id}. A request without a valid key has none, refused requests beyond refused_rows_per_minute share one, and records are removed after retention_days.',
  suspension_missing: 'There is no suspension {id}.',
  suspension_past: 'That would be over already.',
  review_end: 'A review lasts until it is lifted; use suspend for a time.',
  suspension_lifted: '{id} has been lifted already.',
  appeal_there: 'There is an appeal against {id} already.',
  suspension_shadow: '{id} was taken in shadow and does nothing.',
  appeal_missing: 'Nobody has appealed against {id}.',
  appeal_answered: 'The appeal against {id} has been answered already.',
  link_account_gone: 'The account of this link is not there.',
  account_occupied: 'Somebody signs in to that account already.',
  email_taken: 'There is somebody with that address already.',
  email_confirmed_elsewhere: 'That address is confirmed already, with another application.',
  application_occupied: 'Somebody signs in to the account of that application already. Ask its operator.',
  applications_full_confirm: 'Too many applications wait for a decision. Open this page again later.',
  account_has_person: '{account} has somebody who signs in; make a link for a new password.',
  account_has_nobody: 'Nobody signs in to {account} yet; make a link to set it up.',
  person_unconfirmed:
    'The person of {account} has no confirmed address to sign in with; make a link for their application to confirm one.',
  email_confirmed: 'That address is confirmed already.',
  link_dead: 'This link opens nothing: it was used, is over, or another took its place.',
  model_name_missing: 'Nothing is stored about the model name "{name}".',
  model_names_full: 'There are {most} model names already.',
  alias_to_alias: '"{name}" is an alias itself; name the model that it stands for.',
  alias_of_alias: '"{leading}" leads to "{name}", so that cannot be an alias itself.',
  model_name_taken: 'The model name "{name}" is there already.',
  model_name_changed: 'The model name "{name}" has just been changed or removed; look at it and try again.',
  model_name_shape_here: '"{name}" is not the name of a model.',
  server_just_changed: 'The model server "{name}" has just been changed; try again.',
  server_reseal: 'The model server "{name}": {why}. Nothing was changed.',
  server_missing: 'There is no model server "{name}".',
  servers_full: 'There are {most} model servers already, which is the most.',
  server_taken: 'There is a model server "{name}" already.',
  server_address_taken: 'Another model server has the address {address} already.',
  server_changed: 'The model server "{name}" has just been changed or removed; look at it and try again.',
  server_name: 'A model server is named with small letters, digits and dashes.',
  server_name_reserved: 'The names "all" and "upstream-" with a number stand for other model servers.',
  server_kind: 'There is no kind "{kind}" of model servers; the kinds are {kinds}.',
  server_certificate_pair: 'certificateFile and keyFile belong together.',
  server_in_settings: 'The setting upstream names {address} already.',
  server_files_unset: 'Files of model servers lie in the directory of the setting server_files, which is not set.',
  server_secret_twice: 'Give secret or secretFile, not both.',
  server_secret_empty: 'The secret is empty.',
  server_secret_again:
    'A stored secret stays with its address: give the secret again for the new one, or null for none.',
  text_refused: 'The {what} {fault}.',
  term_missing: 'there is no term "{name}"; the terms are {terms}',
  term_choice: '{name} is allow or strip',
  plan_management_scope: 'management scopes depend on the role of an account, not on its plan',
  term_count: '{name} is a whole number from 0 to 10^15, or none',
  term_weight: '{name} is a number from 0.01 to 1000',
  term_list: '{name} is a list of at least one word',
  term_of_plan: '{name} belongs to the plan; a key cannot carry it',
  term_needs_number: '{name} needs a number: a key can only narrow its plan',
  rule_needs: 'a rule needs {name}',
  rule_needs_duration: 'the step {step} needs durationSeconds',
  rule_name: 'the name of a rule has lower-case letters, digits and dashes',
  rule_switch: '{name} is on or off',
  rule_field:
    'a rule has no "{name}"; it has measure, per, windowSeconds, threshold, step, durationSeconds, plans, shadow, enabled',
  rule_choice: '{name} is one of {words}',
  rule_whole: '{name} is a whole number from {least} to {most}',
  server_address_shape: 'the address of a server begins with http:// or https://, such as http://10.0.0.7:11434',
  server_address_user: 'an address must not contain a user or a password; set them as the secret of the server',
  server_address_end: 'an address ends with its path',
  server_weight: 'a weight is a number from 0.01 to 100',
  model_name_shape: '"{name}" is not the name of a model',
  server_slots: 'slots are a whole number of calls from 1 to 100000',
  server_slots_full: 'a server has slots for up to 200 models',
  model_name_cloud: 'a name that ends in "cloud" means a model on another machine, so it can have no other meaning',
  model_name_empty: '"{name}" needs a target, a model for a plan, or fallbacks',
  fallbacks_full: 'a name has up to {most} fallbacks',
  model_name_plans_full: 'a name has models for up to {most} plans',
  model_name_loop: '"{name}" leads to itself',
  fallback_twice: 'a fallback is given twice',
  text_length: 'needs 1 to {most} characters',
  text_mixes_scripts: 'mixes letters of different scripts in one word, which look alike',
  patterns_full: 'a list holds up to {most} model patterns',
  pattern_long: '"{pattern}…" is not a model pattern: it has more than {most} characters',
  pattern_name: '"{pattern}" is not a model name',
  pattern_shape: '"{pattern}" is not a model pattern',
  blocks_full: 'a list holds up to {most} address blocks',
  block_long: '"{block}…" is not an address block such as 192.168.1.0/24',
  block_shape: '"{block}" is not an address block such as 192.168.1.0/24',
  scope_unknown: 'unknown scope "{scope}"; the scopes are {scopes}',
  secret_line_shape: 'line {line} is not of the form "Name: value"',
  secret_line_name: 'line {line}: {name} cannot be set',
  operator_suspended: "The operator's own account cannot be suspended; revoke the key that should stop.",
  unlimited_suspended:
    'An operator without limits cannot be suspended; give the account another role first, or revoke its keys.',
  text_controls: 'holds control characters or characters that change the direction of writing',
  text_invisible: 'holds invisible characters',
  text_marks: 'has too many marks on one letter',
  what_name_of_key: 'name of a key',
  what_name_of_account: 'name of an account',
  what_name: 'name',
  what_purpose: 'purpose',
  what_model: 'model',
  what_decision: 'decision',
  what_reason: 'reason',
  what_appeal: 'appeal',
  what_answer: 'answer',
  what_announcement: 'announcement',
  what_message: 'message',
  password_short: 'A password needs at least {least} characters.',
  password_long: 'A password has at most {most} characters.',
  password_nul: 'A password is text; this one holds a NUL.',
  password_common: 'That password is one of the first that anybody tries. Choose another.',
  password_personal: 'A password must not be your name or address.',
  runs_too_many: 'Too many of these run at once.',
  cursor_foreign: 'query.cursor: not a cursor of this list',
  two_credentials: 'The request carries a key and a session; send one of them.',
  two_keys: 'The request carries two keys that disagree.',
  signed_out_meanwhile: 'You have been signed out meanwhile.',
  key_revoked: 'This API key has been revoked.',
  key_expired: 'This API key has expired.',
  key_needs_certificate: 'This API key works only together with its client certificate.',
  key_address: 'This API key may not be used from your address.',
  key_lacks_scope: 'This API key may not do that; it needs {scope}.',
  key_is_bound:
    'A key that ends, or is bound to networks, models, a certificate or limits, lets nobody in, gives nobody more, and frees nobody.',
  idempotency_key: 'An Idempotency-Key has 1 to 200 printable characters without spaces.',
  second_step_off: 'There is no second step, so it has no backup codes. Set it up first.',
  passkey_late: 'That took too long, or was not begun here. Begin again.',
  passkey_twice: 'That was answered already. Begin again.',
  passkey_there: 'That passkey is here already.',
  passkeys_full: 'There are {most} passkeys already; remove one first.',
  passkey_unknown: 'That passkey opens nothing here.',
  passkey_unverified: 'The browser did not answer with a passkey that verifies its user.',
  field_missing: '{at}: is missing',
  field_type: '{at}: is not of the right kind',
  field_short: '{at}: needs at least {least} characters',
  field_long: '{at}: has at most {most} characters',
  field_small: '{at}: is at least {least}',
  field_big: '{at}: is at most {most}',
  field_few: '{at}: needs at least {least} entries',
  field_many: '{at}: has at most {most} entries',
  field_shape: '{at}: does not have the right form',
  field_choice: '{at}: is one of {words}',
  field_unknown: '{at}: there is no {names}',
  field_refused: '{at}: is not valid',
  unreadable: '{what}',
} as const;

export type Reason = keyof typeof sentences;
export const reasons = Object.keys(sentences) as Reason[];

/** What is said, for programs: which sentence, and what stands in it. */
export interface Said {
  readonly reason: Reason;
  readonly parameters: Readonly<Record<string, Parameter>>;
}

/** Another sentence or clause, where one is part of this one. */
export type Parameter = string | number | Said;

type NamesIn<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;
export type ParametersOf<R extends Reason> = { readonly [Name in NamesIn<(typeof sentences)[R]>]: Parameter };

export const say = <R extends Reason>(reason: R, parameters: ParametersOf<R>): Said => ({ reason, parameters });

/** Puts the parameters into a sentence of `texts`. */
export function fill({ reason, parameters }: Said, texts: Readonly<Record<Reason, string>> = sentences): string {
  return texts[reason].replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = parameters[name] ?? '';
    return typeof value === 'object' ? fill(value, texts) : String(value);
  });
}

/** A clause as a sentence. */
export function asSentence(text: string): string {
  if (/[.。]$/.test(text)) return text;
  const stop = /[ぁ-んァ-ン一-龠）]$/.test(text) ? '。' : '.';
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${stop}`;
}

/** Thrown by readers of what people write; its message is the clause. */
export class Unreadable<R extends Reason = Reason> extends Error {
  override name = 'Unreadable';
  readonly said: Said;

  constructor(reason: R, parameters: ParametersOf<R>) {
    const said = say(reason, parameters);
    super(fill(said));
    this.said = said;
  }
}
