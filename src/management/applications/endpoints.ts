// The endpoints for registration, applications and invitations.

import { z } from 'zod';
import { networkOf } from '../../domain/address.ts';
import { Fault } from '../fault.ts';
import { pageBefore } from '../http/cursor.ts';
import { type AnyCall, type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { Problem } from '../http/problem.ts';
import { showCreatedKey } from '../keys/keys.ts';
import { linkShownOnce, showLink } from '../people/one-time-links.ts';
import { confirmationLink } from '../people/people.ts';
import { linkSchema } from '../people/schemas.ts';
import {
  claimKey,
  createInvite,
  decide,
  nameDeciders,
  reconsider,
  requireApplication,
  setRegistration,
  showApplication,
  showInvite,
  showRegistration,
} from './applications.ts';
import { apply, type NewApplication } from './apply.ts';
import {
  applicationRowSchema,
  applicationSchema,
  appliedSchema,
  claimedSchema,
  claimSchema,
  decisionSchema,
  inviteSchema,
  inviteWithCodeSchema,
  newApplicationSchema,
  newInviteSchema,
  openRegistrationSchema,
  registrationChangeSchema,
  registrationSchema,
} from './schemas.ts';

const read = 'management:read';
const write = 'management:write';
const weekMs = 7 * 86_400_000;

const shownOne = async ({ store, params }: Pick<AnyCall, 'store' | 'params'>) =>
  showApplication(await requireApplication(store, params['id'] ?? ''));

export const applicationEndpoints: readonly Endpoint[] = [
  endpoint('getOpenRegistration', 'get /registration/open', {
    summary: 'Whether and how people can apply here',
    group: 'Applications',
    needs: 'nothing',
    fresh: 'never',
    pace: 'look',
    answer: openRegistrationSchema,
    run: async ({ store }) => ({ mode: (await store.readRegistration()).mode }),
  }),
  endpoint('getRegistration', 'get /registration', {
    summary: 'The registration settings',
    group: 'Applications',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: registrationSchema,
    run: async ({ store }) => showRegistration(await store.readRegistration()),
  }),
  endpoint('changeRegistration', 'patch /registration', {
    summary: 'Change the registration settings; takes effect immediately',
    group: 'Applications',
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: registrationChangeSchema,
    answer: registrationSchema,
    before: ({ store }) => store.readRegistration(),
    run: async ({ store, body, author }) => showRegistration(await setRegistration(store, body, author)),
  }),
  endpoint('apply', 'post /applications', {
    summary: 'Apply for access; the answer has a token for getting the key',
    group: 'Applications',
    needs: 'anybody',
    fresh: 'never',
    pace: 'door',
    atomic: false,
    body: newApplicationSchema,
    answer: appliedSchema,
    creates: true,
    run: async ({ body, author, address, applications: budget, caller, openSession, ...context }) => {
      const retryAfterSeconds = await budget.note(address);
      if (retryAfterSeconds > 0) throw new Problem('too_many_applications', { retryAfterSeconds });
      const { application, claim, confirm, person } = await apply(
        context,
        body as NewApplication,
        caller.person,
        networkOf(address),
        author,
      );
      if (person && !caller.person) await openSession(person);
      return { id: application.id, status: application.status, claim: claim.reveal(), confirm };
    },
  }),
  endpoint('claimKey', 'post /applications/{id}/claim', {
    summary: 'The status of an application and, once, its key after approval',
    group: 'Applications',
    needs: 'nothing',
    fresh: 'never',
    pace: 'door',
    body: claimSchema,
    answer: claimedSchema,
    run: async ({ store, params, body, author }) => {
      const { application, made } = await claimKey(store, params['id'] ?? '', body.claim, author);
      const { status, decision } = application;
      if (!made) return { status, decision, key: null };
      return {
        status,
        decision,
        key: showCreatedKey(made),
      };
    },
  }),
  endpoint('listApplications', 'get /applications', {
    summary: 'Applications, newest first',
    group: 'Applications',
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({ ...pageQuery, status: z.enum(['pending', 'approved', 'rejected']).optional() }),
    answer: pageOf(applicationRowSchema),
    run: async ({ store, query }) => {
      const of = query.status === undefined ? {} : { status: query.status };
      const { items, next } = await pageBefore(
        query,
        (asked) => store.listApplications({ ...asked, ...of }),
        (application) => showApplication(application),
      );
      return { items: await nameDeciders(store, items), next };
    },
  }),
  endpoint('getApplication', 'get /applications/{id}', {
    summary: 'An application',
    group: 'Applications',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: applicationSchema,
    run: async ({ store, params }) => showApplication(await requireApplication(store, params['id'] ?? '')),
  }),
  ...(['approve', 'reject'] as const).map((verb) =>
    endpoint(`${verb}Application`, `post /applications/{id}/${verb}`, {
      summary: verb === 'approve' ? 'Let the applicant in; the key waits for them' : 'Turn the applicant away',
      group: 'Applications',
      needs: write,
      fresh: 'never',
      ...(verb === 'reject' ? { boundKeys: 'may' as const } : {}),
      pace: 'change',
      body: decisionSchema,
      answer: applicationSchema,
      before: shownOne,
      run: async ({ store, params, body, author }) => {
        if (verb === 'reject' && body.plan !== undefined) throw new Fault('rejected_plan', {});
        const status = verb === 'approve' ? 'approved' : 'rejected';
        return showApplication(await decide(store, params['id'] ?? '', status, body, author));
      },
    }),
  ),
  endpoint('reconsiderApplication', 'post /applications/{id}/reconsider', {
    summary: 'Undo a rejection of the last ten minutes; its email is not sent',
    group: 'Applications',
    needs: write,
    fresh: 'never',
    pace: 'change',
    answer: applicationSchema,
    before: shownOne,
    run: async ({ store, params, author }) => showApplication(await reconsider(store, params['id'] ?? '', author)),
  }),
  endpoint('createConfirmation', 'post /applications/{id}/link', {
    summary: 'Create a one-time link for the applicant to confirm the address, for gateways without mail',
    group: 'Applications',
    needs: write,
    fresh: 'never',
    pace: 'change',
    answer: linkSchema,
    creates: true,
    before: shownOne,
    ...linkShownOnce,
    run: async ({ store, portal, params, author }) =>
      showLink(await confirmationLink({ store, portal }, await requireApplication(store, params['id'] ?? ''), author)),
  }),
  endpoint('listInvites', 'get /invites', {
    summary: 'Invitations, newest first, without their codes',
    group: 'Applications',
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(inviteSchema),
    run: async ({ store }) => ({
      items: (await store.listInvites(200)).map((invite) => showInvite(invite)),
      next: null,
    }),
  }),
  endpoint('createInvite', 'post /invites', {
    summary: 'Create an invitation; only this answer contains its code',
    group: 'Applications',
    needs: write,
    fresh: 'never',
    pace: 'change',
    body: newInviteSchema,
    answer: inviteWithCodeSchema,
    creates: true,
    again: async ({ store }, id) => {
      const found = (await store.listInvites(10_000)).find((invite) => invite.id === id);
      if (!found) throw new Fault('invite_missing', { id }, 'not_found');
      return showInvite(found);
    },
    run: async ({ store, body, author }) => {
      const expiresAt = body.expiresAt === undefined ? author.at + weekMs : Date.parse(body.expiresAt);
      const { invite, code } = await createInvite(store, { ...body, expiresAt }, author);
      return { ...showInvite(invite), code: code.reveal() };
    },
  }),
];
