// Notes that a new sign-in is required, so that the next sign-in with a provider also makes the provider authenticate the
// person again instead of reusing its session. Kept in this tab during the redirect.

const name = 'sekisho-anew';

export function noteAnew(): void {
  try {
    sessionStorage.setItem(name, '1');
  } catch {
    // The next sign-in is then an ordinary one.
  }
}

/** Returns whether it was noted, and clears the note. */
export function takeAnew(): boolean {
  try {
    const noted = sessionStorage.getItem(name) !== null;
    sessionStorage.removeItem(name);
    return noted;
  } catch {
    return false;
  }
}
