// A model server did not do what was asked of it about a model.

export class ManagementFailed extends Error {
  override readonly name = 'ManagementFailed';
  readonly status: number;
  /** What the server says; it may hold what it was shown, so it is screened before anybody reads it. */
  readonly said: string | undefined;

  constructor(status: number, said: string | undefined) {
    super(`the model server answers ${status}`);
    this.status = status;
    this.said = said;
  }
}
