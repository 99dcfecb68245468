// What a call asks of a model server, as far as the choice of a server depends on it.

export interface Demand<Server> {
  /** Canonical name. */
  readonly model: string;
  /** Estimated. */
  readonly promptTokens: number;
  /** Expected, all choices together. */
  readonly answerTokens: number;
  /** Of the conversation that the call continues: the same number for all its calls; 0 if it has none. */
  readonly conversation: number;
  /** Of the text that it shares with other conversations: the same number for all of them; 0 if there is none. */
  readonly prefix: number;
  /** Of that text; part of `promptTokens`. */
  readonly prefixTokens: number;
  /** Whether a call like this may go to the server: it has the route, and the caller may use its models. */
  takes(server: Server): boolean;
}
