// A model server answered that it cannot load a model.

export class LoadFailed extends Error {
  override readonly name = 'LoadFailed';
  readonly status: number;
  /** What it said. */
  readonly body: Buffer;

  constructor(status: number, body: Buffer) {
    super(`it answers ${status}`);
    this.status = status;
    this.body = body;
  }
}
