// Why something is as it is, where the gate says it beside a state and not as a refusal: of a model server or a service that gets no
// calls, of a certificate that is not used, of a step that a rule took. They are kept and logged in English, or as the code of an error;
// `heard` finds the entry and its parameters again, so that pages and emails say them in their reader's language. A house test compares the table with the
// sources that write them. Words of another system, such as those of a certificate authority, are not in it.
import { codeIn, codesInEnglish, isOtherCode, otherCode } from './causes-english.ts';
import { causesInJapanese } from './causes-japanese.ts';
import { finderOf, type Holes } from './patterns.ts';
import type { Language } from './person.ts';
import { fillHoles } from './plural.ts';

export const causes = {
  answers: 'it answers',
  answers_status: 'it answers {status}',
  answers_401: 'it answers calls with 401',
  refuses_gateway: 'it refuses the gateway with {status}',
  asks_for_quiet: 'it answers {status}, and asks to be left alone for {wait} s',
  loading: 'it is loading its model',
  not_json: 'its answer is not JSON',
  models_no_list: 'its model list is not a list',
  models_long: 'its model list is too long',
  errors_of_late: '{count} of its last 5 answers {count|was an error|were errors}',
  coming_back_one: 'it is coming back, with up to 1 call at once',
  coming_back: 'it is coming back, with up to {count} {count|call|calls} at once',
  late: 'it does not answer in time',
  call_broke: 'a call broke there',
  call_unconnected: 'a call could not connect',
  call_untrusting: 'a call could not trust its certificate',
  call_late: 'an answer did not begin in time',
  load_late: 'a model took too long to load',
  load_broke: 'a load broke there',
  health_path: 'its health path answers with status {status}',
  health_late: 'TimeoutError',
  refused: 'ECONNREFUSED',
  reset: 'ECONNRESET',
  closed: 'UND_ERR_SOCKET',
  no_host: 'ENOTFOUND',
  no_host_now: 'EAI_AGAIN',
  no_route: 'EHOSTUNREACH',
  no_network: 'ENETUNREACH',
  timed_out: 'ETIMEDOUT',
  connect_late: 'UND_ERR_CONNECT_TIMEOUT',
  expired: 'CERT_HAS_EXPIRED',
  self_signed: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  self_signed_chain: 'SELF_SIGNED_CERT_IN_CHAIN',
  unverified: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  no_issuer: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  other_name: 'ERR_TLS_CERT_ALTNAME_INVALID',

  rule: '{count} {measure} within {window}; the threshold of the rule {rule} is {threshold}.',
  measure_token: 'token',
  measure_call: 'call',
  measure_refusal: 'refused call',
  measure_authentication: 'failed authentication',
  measure_suspension: 'suspension',
  measure_tokens: 'tokens',
  measure_calls: 'calls',
  measure_refusals: 'refused calls',
  measure_authentications: 'failed authentications',
  measure_suspensions: 'suspensions',
  window_hours: '{count} h',
  window_minutes: '{count} min',

  file: '{file}: {fault}',
  file_unreadable: 'it cannot be read ({code})',
  file_large: 'it is too large for a certificate',
  authority_unreadable:
    'it cannot be read; put back the authority.key that belongs to it, or remove {file} to create a new authority, which people have to trust again',
  authority_keyless:
    'its private key authority.key is missing; put back the authority.key that belongs to it, or remove {file} to create a new authority, which people have to trust again',
  authority_other_key:
    'authority.key is not its private key; put back the authority.key that belongs to it, or remove {file} to create a new authority, which people have to trust again',
  no_container: 'it is no PKCS#12 container',
  container_here: 'PKCS#12 containers cannot be read here',
  container_part: 'a certificate or key in it cannot be read',
  container_empty: 'there is no certificate with its private key in it',
  passphrase: 'the passphrase does not open it (TLS_PASSPHRASE)',
  other_key: 'the private key is not the one of the certificate',
  no_pem: 'there is no PEM block in it',
  ended: 'it ended on {moment}',
  not_begun: 'it does not begin before {moment}',
  no_certificate: 'there is no certificate in it',
  cut_certificate: 'it is cut off, or holds something that is no certificate',
  certificate_part: 'a certificate in it cannot be read',
  no_authority: 'it contains a certificate that is not an authority ({name})',
  list_part: 'a list in it cannot be read',
  list_unsigned: 'its list of {name} is signed by no authority in TLS_CLIENT_CA',
  list_not_begun: 'its list of {name} does not begin before {moment}',
  list_ended: 'its list of {name} ended on {moment}',
  list_missing: 'it has no list of {name}',
  no_list: 'there is no revocation list in it',
  cut_list: 'it is cut off, or holds something that is no revocation list',
  not_for: 'the certificate is not for {name}',
  no_port: 'neither port 80 nor port 443 is open for the authority',
  unfinished: 'the authority has not finished within {count} {count|second|seconds}',
  asks_for_other: 'the authority asks for none of {words}',
  says_too_much: 'the authority sends more than it has to say',
  plain_read: 'it cannot be read',

  route: 'route "{name}": {fault}',
  route_here: '{origin} is this gateway itself; a route must lead to another service',
  its_secret: 'its secret: {fault}',
  too_large: 'it is too large',
  files_refused: '{origin}: its certificate files cannot be used: {other}',
  secret_shape: 'line {line} does not have the form "Name: value"',
  secret_name: 'line {line}: {name} cannot be set',
  same_address: 'the setting upstream names the same address',
  no_kind: 'this version knows no kind "{name}"',
  no_directory: 'the setting server_files names no directory for it',
  no_key_file: 'the setting server_secret_key names no file with a key, so no secret can be stored or opened',
  many_keys: 'it holds more than {count} {count|key|keys}',
  no_key: 'it does not hold a key of 32 bytes; make one with: openssl rand -hex 32',
  sealed_newer: 'its secret is stored in a form that this version cannot read',
  sealed_otherwise: 'its secret was stored with another key than those in the file',
  sealed_broken: 'its stored secret was changed, or belongs to something else',
} as const;

export type Cause = keyof typeof causes;
const inJapanese: Readonly<Record<Cause, string>> = causesInJapanese;
const inEnglish: Readonly<Partial<Record<Cause, string>>> = codesInEnglish;

/** What may stand where something is filled in, as a pattern; other causes in those of the second list. */
const holes: Holes = {
  count: '[\\d,]+',
  threshold: '[\\d,]+',
  status: '\\d{3}',
  wait: '\\d+',
  file: '\\S+',
  origin: '\\S+',
  line: '\\d+',
  moment: '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z',
  code: '[\\w-]+',
  rule: '[\\w-]+',
};
const nested = new Set(['fault', 'measure', 'window']);

const find = finderOf(causes, holes);

/** The cause in Japanese. Undefined: it is in the words of another system. */
export function heard(text: string): string | undefined {
  for (const { name, values } of find(text)) {
    // What is wrong with a file may be said by another system, or be several things.
    if (values['fault'] !== undefined && heard(values['fault']) === undefined) continue;
    return fillHoles(inJapanese[name], (hole) => {
      const value = values[hole] ?? '';
      return nested.has(hole) ? (heard(value) ?? value) : value;
    });
  }
  return undefined;
}

/** Several causes stand beside each other with semicolons; some have one inside. */
export function causeIn(language: Language, text: string): string {
  const whole = codeSaid(language, text) ?? (language === 'ja' ? heard(text) : undefined);
  if (whole !== undefined) return whole;
  const parts = text.split('; ');
  if (parts.length === 1) return text;
  const said = parts.map((part) => codeSaid(language, part) ?? (language === 'ja' ? heard(part) : undefined) ?? part);
  return said.join(language === 'ja' ? '。' : '; ');
}

/** What a code of an error means, with the code, by which people search; undefined for other texts. */
function codeSaid(language: Language, text: string): string | undefined {
  const code = codeIn(text);
  const cause = byCode.get(code);
  if (cause === undefined && !isOtherCode(code)) return undefined;
  if (language === 'en') return `${(cause && inEnglish[cause]) ?? otherCode.en} (${text})`;
  return cause ? inJapanese[cause].replace(`（${code}）`, () => `（${text}）`) : `${otherCode.ja}（${text}）`;
}

const byCode: ReadonlyMap<string, Cause> = new Map(
  (Object.keys(codesInEnglish) as Cause[]).map((cause) => [causes[cause], cause]),
);
