// Memory for parts of an answer that are read or built before they are sent: reserved from the budget of answers as it
// grows, and returned once no part of the answer is in memory.
import { GatewayError } from '../../domain/error.ts';
import type { Exchange } from '../exchange.ts';
import { answersOf, type Metering } from '../limits/account-usage.ts';
import type { BodyBudget, Holder } from '../payload/body-budget.ts';
import { onceOver } from './unread.ts';

export class AnswerRoom {
  readonly #exchange: Exchange;
  readonly #budget: BodyBudget;
  readonly #holder: Holder | undefined;
  #bytes = 0;

  constructor(exchange: Exchange, metering: Metering, budget: BodyBudget) {
    this.#holder = answersOf(metering);
    this.#exchange = exchange;
    this.#budget = budget;
  }

  /** @throws GatewayError `answers_too_many`; then nothing was reserved. */
  take(bytes: number): void {
    const holder = this.#holder;
    if (!this.#budget.take(bytes, holder)) throw new GatewayError('answers_too_many');
    if (this.#bytes === 0) onceOver(this.#exchange, () => this.#budget.give(this.#bytes, holder));
    this.#bytes += bytes;
  }
}
