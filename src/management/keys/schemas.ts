// What is sent and answered about API keys. The secret of a key is in one answer only.
import { z } from 'zod';
import { keyKinds } from '../../domain/api-key.ts';
import { idsOf } from '../bulk/schemas.ts';
import { id, name, scope, text, time, timeOrNull } from '../http/fields.ts';
import { narrowingSchema } from '../plans/schemas.ts';

export const keySchema = z
  .strictObject({
    id: id('key'),
    name: z.string(),
    account: id('acc'),
    kind: z.enum(keyKinds),
    status: z.enum(['active', 'revoked']),
    scopes: z.array(scope),
    models: z.array(z.string()),
    cidr: z.array(z.string()),
    allowPath: z.boolean(),
    boundCertificate: z
      .string()
      .nullable()
      .describe('SHA-256 of the public key of the client certificate that is required in addition to the secret'),
    limits: narrowingSchema,
    createdAt: time,
    expiresAt: timeOrNull,
    revokedAt: timeOrNull,
    lastUsedAt: timeOrNull,
    rotatedFrom: id('key').nullable(),
  })
  .meta({ id: 'Key' });
export const keyRowSchema = keySchema.extend({ accountName: z.string() }).meta({ id: 'KeyRow' });
export const keyWithSecretSchema = keySchema
  .extend({ secret: z.string().optional().describe('shown only once; absent when a creation is repeated') })
  .meta({ id: 'KeyWithSecret' });
const pem = text(20_000);
const boundCertificate = pem.describe('a client certificate in PEM that is required in addition to the secret');

export const newKeySchema = z
  .strictObject({
    name,
    account: name.describe('id or name of an existing account'),
    scopes: z.array(scope).min(1).optional(),
    models: z.array(text(200)).min(1).max(200).optional(),
    cidr: z.array(text(50)).min(1).max(200).optional(),
    expiresAt: time.optional(),
    allowPath: z.boolean().optional(),
    publicKey: text(1000).optional().describe('an Ollama CLI’s id_ed25519.pub; then there is no secret'),
    certificate: pem.optional().describe('a client certificate in PEM that is the key; then there is no secret'),
    boundCertificate: boundCertificate.optional(),
    limits: narrowingSchema.optional(),
  })
  .meta({ id: 'NewKey' });

const keyTerms = {
  scopes: z.array(scope).min(1).optional(),
  models: z.array(text(200)).min(1).max(200).optional(),
  cidr: z.array(text(50)).max(200).optional(),
  expiresAt: time.nullable().optional(),
  limits: narrowingSchema.optional(),
};
export const keyChangeSchema = z
  .strictObject({ name: name.optional(), ...keyTerms, boundCertificate: boundCertificate.nullable().optional() })
  .meta({ id: 'KeyChange' });
export const newOwnKeySchema = z
  .strictObject({ name, ...keyTerms, boundCertificate: boundCertificate.optional() })
  .meta({ id: 'NewOwnKey' });
/** Without `boundCertificate`: a caller who has only the secret must not free it from its certificate. */
export const ownKeyChangeSchema = z.strictObject({ name: name.optional(), ...keyTerms }).meta({ id: 'OwnKeyChange' });
/** Which page, as the ledger names it. */
export const pageKeySchema = z
  .strictObject({ name, scopes: z.array(scope).min(1).optional() })
  .meta({ id: 'NewPageKey' });

export const rotationSchema = z
  .strictObject({
    graceSeconds: z
      .int()
      .min(0)
      .max(30 * 86_400)
      .default(0)
      .describe('how long the old secret keeps working'),
  })
  .meta({ id: 'Rotation' });
export const keysChangeSchema = z
  .strictObject({ action: z.literal('revoke'), ids: idsOf(id('key')) })
  .meta({ id: 'KeysChange' });
export const leakSchema = z.strictObject({ secret: text(500) }).meta({ id: 'Leak' });
