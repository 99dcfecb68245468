// The ceremonies of passkeys by @simplewebauthn/server. Only this file knows the library.
import {
  type AuthenticationResponseJSON,
  type AuthenticatorTransportFuture,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { decodeAttestationObject, isoBase64URL } from '@simplewebauthn/server/helpers';
import type { Person } from '../../domain/person.ts';
import { say } from '../../domain/sentences.ts';
import type { StoredPasskey } from '../../store/ports/sign-in.ts';
import { Problem } from '../http/problem.ts';

export interface Expected {
  readonly expectedOrigin: string;
  readonly expectedRPID: string;
  readonly requireUserVerification: true;
}

export function askToSignIn(rpID: string): Promise<PublicKeyCredentialRequestOptionsJSON> {
  return generateAuthenticationOptions({ rpID, userVerification: 'required' });
}

export function askToRegister(
  rpID: string,
  person: Pick<Person, 'id' | 'name' | 'email'>,
  known: readonly StoredPasskey[],
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  return generateRegistrationOptions({
    rpName: 'Sekisho',
    rpID,
    userID: new TextEncoder().encode(person.id),
    userName: person.email,
    userDisplayName: person.name,
    attestationType: 'none',
    excludeCredentials: known.map(({ credentialId, transports }) => ({
      id: credentialId,
      transports: transports as AuthenticatorTransportFuture[],
    })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  });
}

type Read = Omit<StoredPasskey, 'id' | 'personId' | 'name' | 'transports' | 'createdAt' | 'lastUsedAt'>;

/** @throws Problem for anything that is not an answer to that challenge. */
export async function readRegistration(
  response: RegistrationResponseJSON,
  expected: Expected & { readonly expectedChallenge: string },
): Promise<Read> {
  try {
    refuseAttestation(response.response.attestationObject);
    const { verified, registrationInfo } = await verifyRegistrationResponse({ response, ...expected });
    if (!verified) throw new Error('not verified');
    const { credential: made, credentialDeviceType, credentialBackedUp, aaguid } = registrationInfo;
    return {
      credentialId: made.id,
      publicKey: made.publicKey,
      counter: made.counter,
      deviceType: credentialDeviceType,
      backedUp: credentialBackedUp,
      aaguid,
    };
  } catch {
    throw new Problem('invalid', { said: say('passkey_unverified', {}) });
  }
}

/**
 * The gateway requests no attestation and trusts none. The library would fetch the CRL address of a certificate, which the
 * sender of the answer chooses, so answers with certificates are refused. Some browsers still send self attestation ("packed"
 * without x5c).
 */
function refuseAttestation(attestationObject: string): void {
  const decoded = decodeAttestationObject(isoBase64URL.toBuffer(attestationObject));
  const format = decoded.get('fmt');
  if (format === 'none') return;
  if (format !== 'packed' || decoded.get('attStmt').get('x5c') !== undefined) throw new Error('attestation');
}

/** The counter of a correct answer; undefined for any other. */
export async function counterOf(
  { credentialId, publicKey, counter, transports }: StoredPasskey,
  response: AuthenticationResponseJSON,
  expected: Expected,
  expectedChallenge: string,
): Promise<number | undefined> {
  try {
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response,
      ...expected,
      expectedChallenge,
      credential: { id: credentialId, publicKey, counter, transports: transports as AuthenticatorTransportFuture[] },
    });
    return verified ? authenticationInfo.newCounter : undefined;
  } catch {
    return undefined;
  }
}
