// The field of a request that a refusal is about, for forms that show it there. A refusal about several fields names the one that is
// usually changed.
import type { Reason, Said } from '../../domain/sentences.ts';

/** `{name}`: the parameter of that name says it. */
const fields: Readonly<Partial<Record<Reason, string>>> = {
  plan_name: 'name',
  plan_taken: 'name',
  plan_keep_alive: 'minKeepAliveSeconds',
  plan_management_scope: 'scopes',
  term_choice: '{name}',
  term_count: '{name}',
  term_weight: '{name}',
  term_list: '{name}',
  scope_unknown: 'scopes',
  pattern_long: 'models',
  pattern_name: 'models',
  pattern_shape: 'models',
  rule_name: 'name',
  rule_taken: 'name',
  rule_needs: '{name}',
  rule_needs_duration: 'durationSeconds',
  rule_switch: '{name}',
  rule_choice: '{name}',
  rule_whole: '{name}',
  route_taken: 'name',
  route_name: 'name',
  server_name: 'name',
  server_name_reserved: 'name',
  server_taken: 'name',
  server_address_shape: 'address',
  server_address_user: 'address',
  server_address_end: 'address',
  server_address_taken: 'address',
  server_in_settings: 'address',
  server_kind: 'kind',
  server_weight: 'weight',
  server_slots: 'slots',
  server_slots_full: 'slots',
  server_secret_twice: 'secret',
  server_secret_empty: 'secret',
  server_secret_again: 'secret',
  server_certificate_pair: 'certificateFile',
  model_name_taken: 'name',
  model_name_cloud: 'name',
  model_name_empty: 'target',
  model_name_loop: 'target',
  alias_to_alias: 'target',
  alias_of_alias: 'target',
  model_name_plans_full: 'plans',
  setting_fixed: 'values.{name}',
  setting_secret_again: 'values.{name}',
  setting_no_seal: 'values.{name}',
  setting_trust: 'values.{name}',
  setting_password_in_address: 'values.smtp_url',
  setting_password_twice: 'values.smtp_password',
  setting_password_alone: 'values.smtp_password',
  setting_sender: 'values.mail_from',
  setting_client: 'values.oidc_issuer',
};

/** As a path in the body; undefined if it is about no field, or about the object as a whole. */
export function fieldOf({ reason, parameters }: Said): string | undefined {
  const field = fields[reason];
  const { name = '' } = parameters;
  return field === undefined || typeof name === 'object' ? undefined : `body.${field.replace('{name}', `${name}`)}`;
}
