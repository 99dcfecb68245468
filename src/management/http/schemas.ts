// Every shape of the management API once: what is validated on the way in, what is promised on the way out, and what the
// OpenAPI document says are the same zod schemas.
import { z } from 'zod';
import { roles } from '../../domain/account.ts';
import { keyKinds } from '../../domain/api-key.ts';
import { heldFor, registrationModes } from '../../domain/application.ts';
import { languages, linkPurposes } from '../../domain/person.ts';
import { termNames, terms } from '../../domain/plan.ts';
import { ruleMeasures, steps } from '../../domain/rule.ts';
import { scopes } from '../../domain/scope.ts';

export const time = z.iso.datetime().describe('RFC 3339, UTC');
export const perhaps = time.nullable();
export const id = (prefix: string): z.ZodString => z.string().regex(new RegExp(`^${prefix}_[0-9A-Za-z_]{1,40}$`));
export const text = (most: number): z.ZodString => z.string().min(1).max(most);
const count = z.int().min(0).max(1e15);
const scope = z.enum(scopes);
export const name = text(200);
export const word = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/);

const termShapes = Object.fromEntries(
  termNames.map((term) => {
    const { kind, meaning, unit } = terms[term];
    const described = `${meaning}${unit ? ` (${unit})` : ''}`;
    switch (kind) {
      case 'count':
        return [term, count.nullable().describe(`${described} null: no limit.`)];
      case 'weight':
        return [term, z.number().min(0.01).max(1000).describe(described)];
      case 'choice':
        return [term, z.enum(['allow', 'strip']).describe(described)];
      case 'models':
        return [term, z.array(text(200)).min(1).max(200).describe(described)];
      case 'scopes':
        return [term, z.array(scope).min(1).describe(described)];
    }
  }),
) as Record<string, z.ZodType>;

const narrowingShape = z
  .strictObject(
    Object.fromEntries(
      termNames
        .filter((term) => terms[term].narrows)
        .map((term) => [term, (terms[term].kind === 'weight' ? z.number().min(0.01).max(1000) : count).optional()]),
    ),
  )
  .describe('terms that narrow the plan of the account for this key');

export const planShape = z.strictObject({ name: word, version: z.int().min(1), ...termShapes }).meta({ id: 'Plan' });
export const planTerms = z.strictObject(termShapes).partial();
export const newPlan = z
  .strictObject({ name: word, like: word.optional().describe('start from the terms of this plan') })
  .extend(planTerms.shape)
  .meta({ id: 'NewPlan' });
export const planChange = planTerms.meta({ id: 'PlanChange' });

export const accountShape = z
  .strictObject({
    id: id('acc'),
    name: z.string(),
    plan: z.string().nullable().describe('null where, and only where, it is without limits'),
    unlimited: z.boolean().describe('an operator who has no plan and no limits'),
    role: z.enum(roles).describe('operator: changes everything; auditor: sees it; member: their own things'),
    person: z
      .strictObject({ email: z.string(), emailVerified: z.boolean(), twoFactor: z.boolean() })
      .nullable()
      .describe('who signs in to it'),
    closedAt: perhaps,
    createdAt: time,
    keys: z.int().describe('working keys'),
    inForce: z.array(z.strictObject({ id: z.string(), step: z.enum(steps), endsAt: perhaps })),
  })
  .meta({ id: 'Account' });
export const newAccount = z
  .strictObject({ name, plan: word.optional(), role: z.enum(roles).optional() })
  .meta({ id: 'NewAccount' });
export const accountChange = z
  .strictObject({ plan: word, role: z.enum(roles) })
  .partial()
  .meta({ id: 'AccountChange' });

export const keyShape = z
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
      .describe('SHA-256 of the public key of the client certificate that has to be shown beside the secret'),
    limits: narrowingShape,
    createdAt: time,
    expiresAt: perhaps,
    revokedAt: perhaps,
    lastUsedAt: perhaps,
    rotatedFrom: id('key').nullable(),
  })
  .meta({ id: 'Key' });
export const keyWithSecret = keyShape
  .extend({ secret: z.string().optional().describe('shown this once; not there when a creation is repeated') })
  .meta({ id: 'KeyWithSecret' });
const pem = text(20_000);
const bound = pem.describe('a client certificate in PEM that has to be shown beside the secret');
export const newKey = z
  .strictObject({
    name,
    account: name.describe('id or name; must be there'),
    scopes: z.array(scope).min(1).optional(),
    models: z.array(text(200)).min(1).max(200).optional(),
    cidr: z.array(text(50)).min(1).max(200).optional(),
    expiresAt: time.optional(),
    allowPath: z.boolean().optional(),
    publicKey: text(1000).optional().describe('an Ollama CLI’s id_ed25519.pub; then there is no secret'),
    certificate: pem.optional().describe('a client certificate in PEM that is the key; then there is no secret'),
    boundCertificate: bound.optional(),
    limits: narrowingShape.optional(),
  })
  .meta({ id: 'NewKey' });
const keyTerms = {
  scopes: z.array(scope).min(1).optional(),
  models: z.array(text(200)).min(1).max(200).optional(),
  cidr: z.array(text(50)).max(200).optional(),
  expiresAt: time.nullable().optional(),
  limits: narrowingShape.optional(),
};
export const keyChange = z
  .strictObject({ name: name.optional(), ...keyTerms, boundCertificate: bound.nullable().optional() })
  .meta({ id: 'KeyChange' });
export const newOwnKey = z
  .strictObject({ name, ...keyTerms, boundCertificate: bound.optional() })
  .meta({ id: 'NewOwnKey' });
/** Whoever holds only the secret must not free it from its certificate. */
export const ownKeyChange = z.strictObject({ name: name.optional(), ...keyTerms }).meta({ id: 'OwnKeyChange' });
export const rotation = z
  .strictObject({
    graceSeconds: z
      .int()
      .min(0)
      .max(30 * 86_400)
      .default(0)
      .describe('how long both work'),
  })
  .meta({ id: 'Rotation' });
export const leak = z.strictObject({ secret: text(500) }).meta({ id: 'Leak' });

export const ruleShape = z
  .strictObject({
    name: word,
    measure: z.enum(ruleMeasures),
    per: z.enum(['key', 'account']),
    windowSeconds: z
      .int()
      .min(60)
      .max(31 * 86_400),
    threshold: z.int().min(1).max(1e15),
    step: z.enum(steps),
    durationSeconds: z
      .int()
      .min(1)
      .max(366 * 86_400)
      .nullable(),
    plans: z.array(word).min(1).nullable(),
    shadow: z.boolean(),
    enabled: z.boolean(),
  })
  .meta({ id: 'Rule' });
export const newRule = ruleShape
  .partial({ durationSeconds: true, plans: true, shadow: true, enabled: true })
  .meta({ id: 'NewRule' });
export const ruleChange = ruleShape.omit({ name: true }).partial().meta({ id: 'RuleChange' });

export const suspensionShape = z
  .strictObject({
    id: id('sus'),
    account: id('acc'),
    key: id('key').nullable(),
    step: z.enum(steps),
    rule: z.string().nullable(),
    reason: z.string(),
    evidence: z.record(z.string(), z.unknown()).nullable(),
    shadow: z.boolean(),
    createdAt: time,
    endsAt: perhaps,
    liftedAt: perhaps,
    liftedBy: z.string().nullable(),
    appeal: z.string().nullable(),
    appealedAt: perhaps,
    answer: z.string().nullable(),
    answeredAt: perhaps,
    answeredBy: z.string().nullable(),
  })
  .meta({ id: 'Suspension' });
export const newSuspension = z
  .strictObject({
    whom: text(200).describe('id or name of an account, or id of a key'),
    step: z.enum(['warn', 'slow', 'back', 'suspend', 'review']),
    reason: text(2000),
    endsAt: time.nullable().default(null),
  })
  .meta({ id: 'NewSuspension' });
export const appealText = z.strictObject({ text: text(2000) }).meta({ id: 'Appeal' });
export const answerText = z.strictObject({ text: text(2000), lift: z.boolean().default(false) }).meta({ id: 'Answer' });

const personFields = {
  id: id('usr'),
  name: z.string(),
  email: z.string().describe('empty: they sign in under none and have not said one yet'),
  emailVerified: z.boolean(),
  language: z.enum(languages).nullable(),
  twoFactor: z.boolean(),
};

export const selfShape = z
  .strictObject({
    person: z.strictObject(personFields).nullable().describe('null: a key asks'),
    key: keyShape.nullable().describe('null: a person asks'),
    account: accountShape,
    plan: planShape.nullable(),
  })
  .meta({ id: 'Self' });

export const registrationShape = z
  .strictObject({
    mode: z
      .enum(registrationModes)
      .describe(
        'open: at once; domain: at once for some domains; invite: with a code; approval: an operator decides; closed',
      ),
    plan: word.describe('what whoever is let in gets, if nobody says another'),
    domains: z.array(text(253)).max(100).describe('of e-mail addresses that the mode domain lets in'),
    dotless: z
      .array(text(253))
      .max(100)
      .describe('domains where dots before the @ mean nothing, so that such spellings are one mailbox'),
    maxPending: z.int().min(0).max(1_000_000).describe('applications that may wait for a decision'),
  })
  .meta({ id: 'Registration' });
export const registrationChange = registrationShape.partial().meta({ id: 'RegistrationChange' });
export const openRegistration = z.strictObject({ mode: z.enum(registrationModes) }).meta({ id: 'OpenRegistration' });
export const applicationShape = z
  .strictObject({
    id: id('app'),
    name: z.string(),
    email: z.string(),
    confirmedAt: perhaps.describe('when whoever reads that mailbox confirmed it'),
    person: id('usr').nullable().describe('who signs in with it'),
    language: z.enum(languages).nullable(),
    wantedPlan: z.string().nullable(),
    purpose: z.string(),
    models: z.array(z.string()),
    status: z.enum(['pending', 'approved', 'rejected']),
    createdAt: time,
    decidedAt: perhaps,
    decidedBy: z.string().nullable(),
    decision: z.string().nullable().describe('a word to the applicant'),
    account: id('acc').nullable(),
    claimedAt: perhaps.describe('when the key was handed over'),
    held: z
      .enum(heldFor)
      .nullable()
      .describe(
        'why an operator has to decide although a rule would have let the applicant in: an account of the mailbox was closed under a restriction, or it is a second one; for operators alone',
      ),
  })
  .meta({ id: 'Application' });
export const newApplication = z
  .strictObject({
    name,
    email: text(254),
    purpose: text(2000),
    models: z.array(text(200)).max(20).optional(),
    plan: word.optional().describe('that is wanted; what is given is decided'),
    invite: text(200).optional(),
    password: z.string().min(1).max(500).optional().describe('to sign in with'),
    language: z.enum(languages).optional(),
  })
  .meta({ id: 'NewApplication' });
export const applied = z
  .strictObject({
    id: id('app'),
    status: z.enum(['pending', 'approved', 'rejected']),
    claim: z.string().describe('shown this once: with it the applicant comes for the key'),
    confirm: z
      .boolean()
      .describe(
        'a letter is on its way; its link goes on with the application, or makes the address theirs who are in',
      ),
  })
  .meta({ id: 'Applied' });
export const claimText = z.strictObject({ claim: text(200) }).meta({ id: 'Claim' });
export const claimed = z
  .strictObject({
    status: z.enum(['pending', 'approved', 'rejected']),
    decision: z.string().nullable(),
    key: keyWithSecret.nullable().describe('once, when it is approved'),
  })
  .meta({ id: 'Claimed' });
export const decisionShape = z
  .strictObject({ plan: word.optional(), decision: text(2000).nullable().default(null) })
  .meta({ id: 'Decision' });
export const inviteShape = z
  .strictObject({
    id: id('inv'),
    email: z.string().nullable(),
    plan: z.string().nullable(),
    createdAt: time,
    expiresAt: time,
    usedAt: perhaps,
  })
  .meta({ id: 'Invite' });
export const inviteWithCode = inviteShape
  .extend({ code: z.string().optional().describe('shown this once') })
  .meta({ id: 'InviteWithCode' });
export const newInvite = z
  .strictObject({
    email: text(254).nullable().default(null).describe('only for this address'),
    plan: word.nullable().default(null),
    expiresAt: time.optional().describe('at most 30 days from now; in 7 days if nothing is said'),
  })
  .meta({ id: 'NewInvite' });

/** A page of a list, and where the next begins. */
export const pageOf = <T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodNullable<z.ZodString> }> =>
  z.strictObject({
    items: z.array(item),
    next: z.string().nullable().describe('cursor of the next page; null: the last'),
  });

export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(300).optional(),
};

export const sessionShape = z
  .strictObject({
    person: z
      .strictObject({
        ...personFields,
        fresh: z.boolean().describe('signed in in the last ten minutes'),
      })
      .nullable(),
    account: accountShape.nullable(),
    application: applicationShape.nullable(),
    signIn: z.strictObject({
      providers: z.array(z.strictObject({ id: z.string(), name: z.string() })),
      passkeys: z.boolean(),
      mail: z.boolean().describe('letters are delivered'),
    }),
    registration: z.strictObject({
      mode: z.enum(registrationModes),
      domains: z.array(z.string()).describe('that are let in at once'),
      plans: z.array(z.string()).describe('that an applicant may wish for, where a person decides'),
    }),
    gate: z.strictObject({
      name: z.string(),
      url: z.string(),
      timeZone: z.string(),
      exposed: z.boolean().describe('others reach it over a network that can read along'),
      authority: z.string().nullable().describe('SHA-256 of the authority of its own that callers must trust first'),
    }),
  })
  .meta({ id: 'Session' });
const password = z.string().min(1).max(500);
const code = text(200).describe('what stands behind the # of a one-time link');
export const setUpShape = z.strictObject({ code, name, email: text(254), password }).meta({ id: 'SetUp' });
export const confirmation = z.strictObject({ code }).meta({ id: 'Confirmation' });
export const resetRequest = z.strictObject({ email: text(254) }).meta({ id: 'ResetRequest' });
export const reset = z.strictObject({ code, password }).meta({ id: 'Reset' });
export const personChange = z
  .strictObject({ name: name.optional(), language: z.enum(languages).optional() })
  .meta({ id: 'PersonChange' });
export const newLink = z.strictObject({ purpose: z.enum(linkPurposes).exclude(['confirm']) }).meta({ id: 'NewLink' });
export const linkShape = z
  .strictObject({
    url: z.string().optional().describe('shown this once; not there when a creation is repeated'),
    expiresAt: time,
  })
  .meta({ id: 'OneTimeLink' });

export const exportShape = z
  .looseObject({ person: z.unknown(), application: z.unknown(), account: z.unknown() })
  .meta({ id: 'Export' });
