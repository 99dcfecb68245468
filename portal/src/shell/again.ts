// A request that needs a sign-in first waits for it: the session is over, or too old for what was asked. The mounted dialog
// answers; requests that meet this at the same time share one question.

/** `over`: nobody is signed in any more. `stale`: the sign-in is older than the action allows. */
export type Why = 'over' | 'stale';
type Asker = (why: Why) => Promise<boolean>;

let asker: Asker | undefined;
let asking: Promise<boolean> | undefined;

/** Undefined: no dialog is there, and requests fail as they are. */
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

/** What a refusal asks for; undefined for any other. */
export function whyAgain(status: number, code: string): Why | undefined {
  if (code === 'sign_in_again') return 'stale';
  return status === 401 ? 'over' : undefined;
}
