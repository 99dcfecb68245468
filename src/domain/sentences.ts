// Every sentence with which the management API refuses a request: a reason for programs, and the English text with its
// parameters. The Japanese texts are in portal/src/words/refusals.ts. Sentences are written only here, so that none reaches a
// page in the wrong language. Parsers in domain/ use clauses, which start in lower case and have no full stop.

import { fillHoles, type HoleName } from './plural.ts';
import { routeSentences } from './sentences-routes.ts';

export const sentences = {
  ...routeSentences,
  plan_missing: 'There is no plan "{name}"; the plans are {plans}.',
  plan_unknown: 'There is no plan "{name}".',
  plan_name: 'The name of a plan has lowercase letters, digits and hyphens.',
  plan_taken: 'The plan "{name}" already exists.',
  plan_changed: 'Someone else has just changed the plan "{name}"; check it and try again.',
  plan_default: 'The plan "default" is for new accounts and cannot be deleted.',
  plan_registers: 'New accounts get the plan "{name}"; choose another plan for registration first.',
  plan_invites:
    'An open invitation uses the plan "{name}"; you can delete the plan when the invitation is used or expired.',
  plan_has_server: 'The model server "{server}" is for the plan "{name}"; change it first.',
  plan_has_model_name: 'The model name "{model}" has a model for the plan "{name}"; change it first.',
  plan_in_use: 'Some accounts still have the plan "{name}"; give them another plan first.',
  plan_keep_alive: 'minKeepAliveSeconds must not exceed maxKeepAliveSeconds.',
  maintenance_over: 'The end of maintenance is in the past.',
  announcement_missing: 'There is no announcement {id}.',
  announcement_changed: 'The announcement {id} has just been changed or deleted; check it and try again.',
  announcement_empty: 'An announcement needs a text in English or Japanese.',
  announcement_over: 'The announcement would end before it starts.',
  announcement_header_long: 'The announcement is too long for a header: at most {most} bytes, percent-encoded.',
  announcements_full: 'There are already {most} announcements; delete one first.',
  status_page_off: 'This gateway has no public status page.',
  setting_missing: 'There is no setting "{name}" that can be changed at run time.',
  setting_group_missing: 'There are no settings "{name}".',
  setting_fixed: '{name} is set by {by}, so it cannot be changed here.',
  settings_changed: 'Somebody else has just changed these settings; look at them and try again.',
  setting_secret_again: 'Enter {name} again: the stored one was meant for the old {of}.',
  setting_no_seal:
    'Nothing can encrypt {name} in the database: the setting server_secret_key names no usable key file.',
  setting_password_in_address: 'The password belongs into smtp_password, not into smtp_url.',
  setting_password_twice: 'smtp_url holds a password, and smtp_password is set too.',
  setting_password_alone: 'smtp_password needs smtp_url with the name of a user.',
  setting_sender: 'smtp_url is set and mail_from is not: emails need a sender.',
  setting_client: 'oidc_issuer, oidc_client_id and oidc_client_secret belong together; set all of them.',
  setting_trust: '{name} is not the same as oidc_issuer.',
  setting_locks_out:
    'Every operator signs in through this provider alone, and could be locked out. Give an operator a password or a passkey first.',
  setting_change_missing: 'There is no change {id} of settings.',
  setting_change_undone: 'That change has been undone already.',
  setting_change_since: 'That cannot be undone, because it was changed again since: {names}.',
  setting_untestable: 'Nothing of these settings can be tried out.',
  setting_test_nothing: 'Nothing is set that could be tried out.',
  setting_origin: 'must be an origin such as https://example.org, or *',
  setting_slots: 'must be model=calls, such as gemma3:4b=8',
  setting_plain_text: 'must be plain ASCII text',
  setting_one_line: 'must be one line of text',
  setting_issuer: 'must be an https:// address without query or fragment',
  setting_smtp: 'must be smtp:// or smtps://, user:password@ where they are needed, a host, and perhaps :port',
  setting_from: 'must hold an email address, such as Sekisho <gate@example.org>',
  setting_color: 'must be a colour such as #2f6f4f',
  logo_shape: 'must be a PNG or SVG as a data: URL in base64',
  logo_large: 'must have at most {most} KiB',
  logo_wide: 'must be at most {most} pixels wide and high',
  logo_broken: 'is not a whole picture of that kind',
  logo_refused: 'holds {what}, which does not draw and could do more',
  preview_of_nothing: 'Give an account, a key or a plan.',
  key_of_another_account: 'That key does not belong to that account.',
  rule_missing: 'There is no rule "{name}"; the rules are {rules}.',
  rule_taken: 'The rule "{name}" already exists.',
  rule_named_twice: 'Give only one name for a rule.',
  rule_keeps_name: 'A rule cannot be renamed; create another rule and delete this one.',
  key_missing: 'There is no key {id}.',
  key_expired_already: 'The expiry date is in the past.',
  key_beyond_maker: 'A key cannot create a key with more permissions than its own: {beyond}.',
  keys_of_pages_full:
    '{count} open {count|page|pages} of {account} already {count|has|have} a key; close one, or wait an hour.',
  keys_passing_full: '{account} already has {count} one-hour {count|key|keys}; they expire automatically.',
  keys_full: '{account} has {held} active {held|key|keys}, and the plan {plan} allows {most}. Revoke one first.',
  keys_full_beside:
    '{account} has {held} other active {held|key|keys}, and the plan {plan} allows {most}. Revoke one first.',
  key_lives_too_long: 'The plan {plan} allows keys for at most {days} {days|day|days}.',
  role_lacks_scope: '{account} has the role {role}, which does not allow {scope}.',
  plan_lacks_scope: 'The plan {plan} does not allow {scopes}; it allows {allowed}.',
  key_needs_scope: 'a key needs at least one scope',
  key_needs_model: 'a key needs at least one model pattern; * stands for every local model',
  key_needs_address: 'an empty address list would allow no address; leave it out to allow every address',
  account_closed: 'That account is closed.',
  nothing_to_narrow: '{account} has no plan that a key could restrict; its calls are not counted.',
  nothing_to_narrow_here: '{account} has no plan that a key could restrict.',
  public_key_taken: 'That public key is already registered.',
  public_key_rotation: 'A public key cannot be rotated: register the new one, then revoke this one.',
  key_over: '{id} is no longer active; create a new key instead.',
  key_just_over: '{id} is no longer active.',
  key_predecessor: '{id}, which this key replaced, still works until {until}; revoke it first.',
  key_two_kinds: 'Give a public key or a certificate, not both.',
  public_key_shape: 'That is not an ed25519 public key; use the line in ~/.ollama/id_ed25519.pub.',
  certificate_shape: 'That is not a certificate in PEM format (-----BEGIN CERTIFICATE-----).',
  account_taken: 'The account "{name}" already exists.',
  account_name_like_id: 'That name looks like an ID; give the account another name.',
  filter_several: 'Several match "{text}": {names}. Type the whole name or ID of one.',
  filter_wide: 'More than {most} match "{text}"; type more of it.',
  account_missing: 'There is no account "{name}".',
  account_missing_id: 'There is no account {id}.',
  account_look_alike: `That name looks like "{name}", which is another account's.`,
  last_operator: 'This is the last operator who can sign in. Add another operator first.',
  unlimited_operator: 'Only an operator can have no limits.',
  own_account_plan: "The operator's own account has no plan. Create another account for someone with limits.",
  own_account: "The gateway's own account cannot be changed.",
  rejected_plan: 'A rejected applicant does not get a plan.',
  invite_missing: 'There is no invitation {id}.',
  application_decided: '{id} has already been decided.',
  applicant_has_account: 'The applicant already has an account.',
  application_not_reopened: 'Only a rejection of the last ten minutes can be undone.',
  application_missing: 'There is no such application.',
  application_missing_id: 'There is no application {id}.',
  email_shape: 'That is not an email address.',
  invite_life: 'An invitation is valid for at most 30 days.',
  registration_mode: 'mode must be one of {modes}.',
  registration_plan: 'plan must be the name of a plan.',
  registration_domains: '{name} must be a list of at most 100 domains.',
  registration_pending: 'maxPending must be a whole number from 0 to 1,000,000.',
  registration_field: 'Registration has no field "{name}"; its fields are mode, plan, domains, dotless and maxPending.',
  domain_shape: '"{word}" is not a domain such as example.org.',
  email_too_often: 'Too many emails were sent to that address. Try again in an hour.',
  applications_full: 'Too many applications are waiting for a decision. Try again later.',
  invite_refused: 'An invitation is required, and this code is wrong, used, expired, or for someone else.',
  application_waits: 'Your application is already waiting for a decision.',
  applications_from_network: 'Too many applications from your network are waiting to be confirmed. Try again later.',
  email_sent_already: 'Open one of the emails that were already sent to that address.',
  applications_closed: 'This gateway does not accept applications.',
  have_account: 'You already have an account.',
  route_missing: 'There is no route "{name}".',
  routes_full: 'There are already {most} routes, which is the maximum.',
  route_taken: 'The route "{name}" already exists.',
  route_changed: 'The route "{name}" has just been changed or removed; check it and try again.',
  address_is_gate: '{address} is this gateway itself; calls would loop forever.',
  route_files_unset: 'Files of routes must be in the directory of the setting server_files, which is not set.',
  file_name: 'Give the name of a file without its directory, with letters, digits, dots, hyphens and underscores.',
  request_missing:
    'There is no record of {id}. A request without a valid key has none, refused requests beyond refused_rows_per_minute share one, and records are removed after retention_days.',
  account_suspended: '{account} is suspended already.',
  account_unrestricted: '{account} is under no restriction.',
  audit_missing: 'There is no event {id} in the audit log.',
  suspension_missing: 'There is no suspension {id}.',
  suspension_past: 'That end is in the past.',
  review_end: 'A review lasts until it is lifted; use suspend for a limited time.',
  suspension_lifted: '{id} has already been lifted.',
  appeal_there: 'There is already an appeal against {id}.',
  suspension_shadow: '{id} is a shadow suspension and has no effect.',
  appeal_missing: 'There is no appeal against {id}.',
  appeal_answered: 'The appeal against {id} has already been answered.',
  link_account_gone: 'The account of this link no longer exists.',
  account_occupied: 'That account already has a person who signs in.',
  email_taken: 'That address is already in use.',
  email_confirmed_elsewhere: 'That address was already confirmed with another application.',
  application_occupied: 'The account of that application already has a person who signs in. Ask the operator.',
  applications_full_confirm: 'Too many applications are waiting for a decision. Open this page again later.',
  account_has_person: '{account} already has a person who signs in; create a link for a new password.',
  account_has_nobody: '{account} has no person who signs in yet; create a link to set it up.',
  person_unconfirmed:
    'The person of {account} has no confirmed address to sign in with; create a link on their application to confirm one.',
  email_confirmed: 'That address is already confirmed.',
  link_dead: 'This link is not valid: it was used, has expired, or was replaced by another.',
  model_name_missing: 'There is no model name "{name}".',
  model_names_full: 'There are already {most} model names.',
  alias_to_alias: '"{name}" is an alias itself; give the model that it stands for.',
  alias_of_alias: '"{leading}" leads to "{name}", so "{name}" cannot be an alias.',
  model_name_taken: 'The model name "{name}" already exists.',
  model_name_changed: 'The model name "{name}" has just been changed or removed; check it and try again.',
  model_name_shape_here: '"{name}" is not the name of a model.',
  server_just_changed: 'The model server "{name}" has just been changed; try again.',
  server_reseal: 'The stored secret of "{name}": {why}. Nothing was changed.',
  server_missing: 'There is no model server "{name}".',
  servers_full: 'There are already {most} model servers, which is the maximum.',
  server_unmanaged: 'The models on "{server}" cannot be managed through the gateway.',
  server_answers: 'The model server "{server}" answers: {said}',
  server_silent: 'The model server "{server}" does not answer.',
  pull_running: '"{model}" is already being pulled to "{server}".',
  pulls_full: 'There are {most} pulls already, which is the most; wait for one to end.',
  pull_missing: 'There is no pull {id}.',
  pull_over: 'The pull {id} has ended already.',
  pull_servers: 'No model server takes pulls.',
  registry_host: 'Models from {host} may not be pulled; the setting registry_hosts does not name it.',
  server_taken: 'The model server "{name}" already exists.',
  server_address_taken: 'Another model server already has the address {address}.',
  server_changed: 'The model server "{name}" has just been changed or removed; check it and try again.',
  server_name: 'The name of a model server has lowercase letters, digits and hyphens.',
  server_name_reserved: 'The names "all" and "upstream-" with a number are reserved.',
  server_kind: 'There is no kind "{kind}" of model server; the kinds are {kinds}.',
  server_certificate_pair: 'Give certificateFile and keyFile together.',
  server_in_settings: 'The setting upstream already has {address}.',
  server_files_unset: 'Files of model servers must be in the directory of the setting server_files, which is not set.',
  server_secret_twice: 'Give secret or secretFile, not both.',
  server_secret_empty: 'The secret is empty.',
  server_secret_again:
    'A stored secret belongs to its address: give the secret again for the new address, or null for none.',
  text_refused: 'The {what} {fault}.',
  term_missing: 'there is no term "{name}"; the terms are {terms}',
  term_choice: '{name} must be allow or strip',
  plan_management_scope: 'management scopes depend on the role of an account, not on its plan',
  term_count: '{name} must be a whole number from 0 to 10^15, or none',
  term_weight: '{name} must be a number from 0.01 to 1000',
  term_list: '{name} must be a list of at least one word',
  term_of_plan: '{name} is a term of plans; a key cannot have it',
  term_needs_number: '{name} needs a number: a key can only restrict its plan',
  rule_needs: 'a rule needs {name}',
  rule_needs_duration: 'the step {step} needs durationSeconds',
  rule_name: 'the name of a rule has lowercase letters, digits and hyphens',
  rule_switch: '{name} must be on or off',
  rule_field:
    'a rule has no field "{name}"; its fields are measure, per, windowSeconds, threshold, step, durationSeconds, plans, shadow, enabled',
  rule_choice: '{name} must be one of {words}',
  rule_whole: '{name} must be a whole number from {least} to {most}',
  server_address_shape: 'the address of a server starts with http:// or https://, such as http://10.0.0.7:11434',
  server_address_user: 'an address must not contain a user or password; set them as the secret of the server',
  server_address_end: 'an address must not have anything after its path',
  server_weight: 'a weight must be a number from 0.01 to 100',
  model_name_shape: '"{name}" is not the name of a model',
  server_slots: 'slots must be a whole number from 1 to 100000',
  server_slots_full: 'a server can have slots for up to 200 models',
  model_name_cloud: 'a name that ends in "cloud" stands for a model on another machine and cannot have another meaning',
  model_name_empty: '"{name}" needs a target, a model for a plan, or fallbacks',
  fallbacks_full: 'a name can have up to {most} fallbacks',
  model_name_plans_full: 'a name can have models for up to {most} plans',
  model_name_loop: '"{name}" leads to itself',
  fallback_twice: 'a fallback is given twice',
  text_length: 'must have 1 to {most} {most|character|characters}',
  text_mixes_scripts: 'mixes similar letters of different scripts in one word',
  patterns_full: 'a list can have up to {most} model patterns',
  pattern_long: '"{pattern}…" is not a model pattern: it has more than {most} characters',
  pattern_name: '"{pattern}" is not a model name',
  pattern_shape: '"{pattern}" is not a model pattern',
  blocks_full: 'a list can have up to {most} address blocks',
  block_long: '"{block}…" is not an address block such as 192.168.1.0/24',
  block_shape: '"{block}" is not an address block such as 192.168.1.0/24',
  scope_unknown: 'unknown scope "{scope}"; the scopes are {scopes}',
  secret_line_shape: 'line {line} does not have the form "Name: value"',
  secret_line_name: 'line {line}: {name} cannot be set',
  operator_suspended: "The operator's own account cannot be suspended; revoke the key instead.",
  unlimited_suspended:
    'An operator without limits cannot be suspended; give the account another role first, or revoke its keys.',
  text_controls: 'contains control characters or characters that change the writing direction',
  text_invisible: 'contains invisible characters',
  text_marks: 'has too many combining marks on one letter',
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
  password_short: 'A password must have at least {least} characters.',
  password_long: 'A password can have at most {most} characters.',
  password_nul: 'A password must not contain a NUL character.',
  password_common: 'That password is too common. Choose another.',
  password_personal: 'A password must not be your name or address.',
  runs_too_many: 'Too many of these requests are running.',
  cursor_foreign: 'query.cursor: not a cursor of this list',
  two_credentials: 'The request has a key and a session; send only one of them.',
  two_keys: 'The request has two different keys.',
  signed_out_meanwhile: 'You have been signed out in the meantime.',
  key_revoked: 'This API key has been revoked.',
  key_expired: 'This API key has expired.',
  key_needs_certificate: 'This API key only works together with its client certificate.',
  key_address: 'This API key cannot be used from your address.',
  key_lacks_scope: 'This API key does not have the scope {scope}, which this request needs.',
  key_is_bound:
    'A key that expires, or is restricted to networks, models, a certificate or limits, cannot give access or permissions, or lift restrictions.',
  idempotency_key: 'An Idempotency-Key must have 1 to 200 printable characters without spaces.',
  view_of_member: 'Only the pages of members with an open account can be viewed.',
  view_of_nobody: 'Nobody signs in to this account, so it has no pages to view.',
  second_step_off: 'There is no second step, so there are no backup codes. Set up a second step first.',
  passkey_late: 'This took too long, or was started elsewhere. Start again.',
  passkey_twice: 'This was already completed. Start again.',
  passkey_there: 'That passkey is already registered.',
  passkeys_full: 'There are already {most} passkeys; remove one first.',
  passkey_unknown: 'This passkey cannot be used to sign in here. It was removed, or the account was closed.',
  passkey_unverified: 'The browser did not use a passkey that verifies its user.',
  field_missing: '{at}: is missing',
  field_type: '{at}: has the wrong type',
  field_short: '{at}: must have at least {least} {least|character|characters}',
  field_long: '{at}: can have at most {most} {most|character|characters}',
  field_small: '{at}: must be at least {least}',
  field_big: '{at}: must be at most {most}',
  field_few: '{at}: must have at least {least} {least|entry|entries}',
  field_many: '{at}: can have at most {most} {most|entry|entries}',
  field_shape: '{at}: has the wrong format',
  field_choice: '{at}: must be one of {words}',
  field_unknown: '{at}: unknown field {names}',
  field_refused: '{at}: is not valid',
  field_fault: '{at}: {fault}',
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

type NamesIn<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? HoleName<Name> | NamesIn<Rest>
  : never;
export type ParametersOf<R extends Reason> = { readonly [Name in NamesIn<(typeof sentences)[R]>]: Parameter };

export const say = <R extends Reason>(reason: R, parameters: ParametersOf<R>): Said => ({ reason, parameters });

/** Puts the parameters into a sentence of `texts`. */
export function fill({ reason, parameters }: Said, texts: Readonly<Record<Reason, string>> = sentences): string {
  return fillHoles(texts[reason], (name) => {
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

/** What is said, as a sentence. A name at its beginning stays as it is written: `tokensPerDay needs a number.` */
export function sentenceOf(said: Said): string {
  const text = fill(said);
  const sentence = asSentence(text);
  return opensWithName(said) ? text.charAt(0) + sentence.slice(1) : sentence;
}

function opensWithName({ reason, parameters }: Said): boolean {
  const name = /^\{(\w+)\}/.exec(sentences[reason])?.[1];
  const value = name === undefined ? undefined : parameters[name];
  return typeof value === 'object' ? opensWithName(value) : value !== undefined;
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
