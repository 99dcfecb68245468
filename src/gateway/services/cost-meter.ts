// What one call of a service costs, in whole units of its route: a fixed figure, one for each second that was begun, or what the
// service says in a header, up to a cap.
import type { IncomingHttpHeaders } from 'node:http';
import { priceOf } from '../../domain/mcp-tools.ts';
import type { ServiceCost } from '../../domain/service-route.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { UsageCost } from '../../domain/usage.ts';
import type { McpMessage } from './mcp/read-mcp.ts';

export interface CostMeter {
  /** The head of the answer has arrived. */
  begin(status: number, headers: IncomingHttpHeaders): void;
  /** Undefined if it costs nothing so far. */
  read(): UsageCost | undefined;
}

/**
 * What to reserve for a call before it is sent: all that it can cost if the route says so, else its first second. `mcp`: what it
 * asks of an MCP server, where only calls of tools have a cost.
 */
export function expectedUnits(cost: ServiceCost | null, mcp: Pick<McpMessage, 'tool'> | undefined): number {
  if (cost === null || !hasCost(mcp)) return 0;
  if (cost.kind === 'header') return cost.cap;
  return cost.kind === 'fixed' ? unitsOf(cost, mcp?.tool) : cost.units;
}

/** Of what is asked of an MCP server, calls of tools have a cost. */
export const hasCost = (mcp: Pick<McpMessage, 'tool'> | undefined): boolean =>
  mcp === undefined || mcp.tool !== undefined;

const unitsOf = ({ units, tools }: Extract<ServiceCost, { kind: 'fixed' }>, tool: string | undefined): number =>
  (tool === undefined ? undefined : priceOf(tools, tool)) ?? units;

/** Call when the call is sent to the service; undefined for a route without a cost. `tool`: of an MCP server. */
export function costMeterFor(cost: ServiceCost | null, nowMs: () => MonotonicMs, tool?: string): CostMeter | undefined {
  switch (cost?.kind) {
    case undefined:
      return undefined;
    case 'fixed': {
      const units = unitsOf(cost, tool);
      return { begin: () => undefined, read: () => (units === 0 ? undefined : { unit: cost.unit, units }) };
    }
    case 'second': {
      const fromMs = nowMs();
      const seconds = (): number => Math.max(1, Math.ceil((nowMs() - fromMs) / 1000));
      return { begin: () => undefined, read: () => ({ unit: cost.unit, units: seconds() * cost.units }) };
    }
    case 'header': {
      let units = 0;
      return {
        begin: (status, headers) => {
          units = unitsIn(headers[cost.header], cost.cap, status);
        },
        read: () => (units === 0 ? undefined : { unit: cost.unit, units }),
      };
    }
  }
}

/**
 * A figure is rounded up and held to the cap. One that is missing or no figure counts as the cap, so that no fault of the
 * service makes it free; only an error without a figure costs nothing.
 */
function unitsIn(said: string | string[] | undefined, cap: number, status: number): number {
  if (said === undefined) return status >= 400 ? 0 : cap;
  return typeof said === 'string' && /^\d{1,15}(?:\.\d{1,9})?$/.test(said)
    ? Math.min(cap, Math.ceil(Number(said)))
    : cap;
}
