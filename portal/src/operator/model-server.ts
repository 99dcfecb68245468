// Deletes and copies models through the data plane with a key of this page's own: for an hour, in memory only.
import { api, Problem } from '../api.ts';
import type { KeyWithSecret } from '../api-types.ts';

export class ModelServer {
  #made: Promise<KeyWithSecret> | undefined;

  /** `server`: the name of one. */
  async remove(model: string, server: string): Promise<void> {
    this.#made ??= api.post<KeyWithSecret>('/me/page-keys', { name: 'models page', scopes: ['models:delete'] });
    const made = await this.#made.catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    });
    const response = await fetch('/api/delete', {
      method: 'DELETE',
      credentials: 'omit',
      headers: {
        'x-api-key': made.secret ?? '',
        'content-type': 'application/json',
        'x-sekisho-servers': server,
      },
      body: JSON.stringify({ model }),
    });
    if (!response.ok) throw await Problem.of(response);
  }

  forget(): void {
    const made = this.#made;
    this.#made = undefined;
    void made?.then(({ id }) => api.post(`/me/keys/${id}/revoke`)).catch(() => undefined);
  }
}
