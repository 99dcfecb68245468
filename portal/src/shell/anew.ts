// Something asked for a new sign-in: the next one by a provider has the provider ask too, since it would let somebody whom it knows
// through without a word, and that is no new sign-in. Remembered for this tab, over the way there.

const name = 'sekisho-anew';

export function noteAnew(): void {
  try {
    sessionStorage.setItem(name, '1');
  } catch {
    // Then the next sign-in is an ordinary one.
  }
}

/** Whether it was noted; it is not any more. */
export function takeAnew(): boolean {
  try {
    const noted = sessionStorage.getItem(name) !== null;
    sessionStorage.removeItem(name);
    return noted;
  } catch {
    return false;
  }
}
