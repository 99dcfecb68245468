// Lets requests wait for a sign-in if the session has expired or is too old for the action. The mounted dialog resolves them;
// concurrent requests share one dialog.

/** `over`: the session has expired. `stale`: the sign-in is older than the action allows. */
export type Why = 'over' | 'stale';
type Asker = (why: Why) => Promise<boolean>;

let asker: Asker | undefined;
let asking: Promise<boolean> | undefined;

/** Undefined: there is no dialog, and requests fail. */
export function answerSignIns(given: Asker | undefined): void {
  asker = given;
}

/** Resolves to true when the same person has signed in again, and to false when they have declined. */
export function signInAgain(why: Why): Promise<boolean> {
  if (!asker) return Promise.resolve(false);
  asking ??= asker(why).finally(() => {
    asking = undefined;
  });
  return asking;
}

/** The kind of sign-in that a refusal requires; undefined for other refusals. */
export function whyAgain(status: number, code: string): Why | undefined {
  if (code === 'sign_in_again') return 'stale';
  return status === 401 ? 'over' : undefined;
}
