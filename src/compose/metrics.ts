// The metrics of a gateway: counters, gauges, and their listener. Nothing here runs, and no call is counted, unless
// `metrics_port` is set.
import { statfsSync } from 'node:fs';
import type { Server } from 'node:http';
import { healthStates } from '../domain/server-status.ts';
import type { LabelNames } from '../gateway/request-metrics.ts';
import { openMetricsServer } from '../listener/metrics-server.ts';
import { listen } from '../listener/server.ts';
import { Gauge, gauge, type Metric, type Readings } from '../observe/metrics/metric.ts';
import { processMetrics } from '../observe/metrics/process.ts';
import { textOf } from '../observe/metrics/text.ts';
import { version } from '../package.ts';
import type { Config } from '../settings/config.ts';
import type { LaneNow } from '../store/ports/turn-queue.ts';
import type { GateCertificates } from '../tls/certificate-manager.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { GateClocks } from './clocks.ts';
import type { DataPlane } from './data-plane.ts';
import type { Storage } from './storage.ts';

export interface MetricsParts {
  readonly clocks: Pick<GateClocks, 'followed'>;
  readonly storage: Storage;
  readonly data: DataPlane;
  readonly certificates: GateCertificates | undefined;
}

export interface OpenMetrics {
  readonly server: Server;
  readonly stop: () => void;
}

/** Listens, if `metrics_port` is set. @throws ListenFailed */
export async function openMetrics(config: Config, parts: MetricsParts): Promise<OpenMetrics | undefined> {
  const { requestMetrics } = parts.data;
  if (!requestMetrics) return undefined;
  const ofProcess = processMetrics();
  const metrics = [
    ...gateMetrics(config, parts, requestMetrics.models),
    ...requestMetrics.metrics,
    ...ofProcess.metrics,
  ];
  const names = [...config.metricsNames, config.metricsHost].map((name) => name.toLowerCase());
  const server = openMetricsServer(() => textOf(metrics), new Set(names));
  try {
    await listen(server, config.metricsPort, config.metricsHost);
  } catch (error) {
    ofProcess.stop();
    throw error;
  }
  return {
    server,
    stop: () => {
      ofProcess.stop();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The gauges of the parts of the gateway. */
function gateMetrics(
  config: Config,
  { clocks, storage, data: { gate }, certificates }: MetricsParts,
  models: LabelNames,
): readonly Metric[] {
  return [
    new Gauge(
      { name: 'sekisho_build_info', help: 'The version of this gateway; always 1.', labels: ['version'] },
      () => [[[version], 1]],
    ),
    gauge('http_server_active_requests', 'Calls that run or wait now.', () => gate.running.size),
    ...queueMetrics(gate.queue, models),
    gauge('sekisho_account_waiting', 'Calls that wait until their account runs fewer.', () => gate.lines.waiting),
    ...serverMetrics(gate.registry),
    gauge(
      'sekisho_ledger_pending_rows',
      'Usage records that the store does not have yet.',
      () => storage.ledger.pendingRows,
    ),
    gauge('sekisho_accepting', '1 while the gateway takes calls, 0 while it drains.', () => (gate.draining ? 0 : 1)),
    gauge(
      'sekisho_clock_ahead_seconds',
      "How far the clock of the database is ahead of this machine's; 0 below a second.",
      () => clocks.followed.aheadMs / 1000,
    ),
    gauge('sekisho_data_free_bytes', 'Free space where the gateway keeps its data.', () => freeBytes(config.dataDir)),
    new Gauge(
      {
        name: 'sekisho_certificate_expiry_seconds',
        help: 'When the certificate for this name ends, in seconds since 1970.',
        labels: ['name'],
      },
      () =>
        (certificates?.status().certificates ?? []).flatMap(({ names, notAfter }) =>
          notAfter === undefined ? [] : [[[names[0] ?? ''], notAfter / 1000] as const],
        ),
    ),
  ];
}

function queueMetrics(queue: DataPlane['gate']['queue'], models: LabelNames): Metric[] {
  const byModel = (of: (lane: LaneNow) => number): Readings => {
    const sums = new Map<string, number>();
    for (const lane of queue.snapshot()) {
      const model = models.of(lane.model);
      sums.set(model, (sums.get(model) ?? 0) + of(lane));
    }
    return [...sums].map(([model, sum]) => [[model], sum]);
  };
  const labels = ['model'];
  return [
    new Gauge({ name: 'sekisho_queue_waiting', help: 'Calls that wait for a turn at a model.', labels }, () =>
      byModel(({ waiting }) => waiting),
    ),
    new Gauge({ name: 'sekisho_queue_running', help: 'Turns at a model that are in use.', labels }, () =>
      byModel(({ running }) => running),
    ),
  ];
}

/** Names of servers come from the operator, so each has its gauges, up to the bound of every metric. The sums have no such bound. */
function serverMetrics(registry: UpstreamRegistry): Metric[] {
  return [
    new Gauge({ name: 'sekisho_servers', help: 'How many model servers are in a state.', labels: ['state'] }, () =>
      healthStates.map((state) => [[state], registry.all.filter(({ health }) => health.state === state).length]),
    ),
    new Gauge({ name: 'sekisho_server_up', help: 'Whether a model server answers: 1 or 0.', labels: ['server'] }, () =>
      registry.all.map(({ name, health }) => [[name], health.up === true ? 1 : 0]),
    ),
    new Gauge(
      {
        name: 'sekisho_server_state',
        help: 'The state of a model server, as a label; always 1.',
        labels: ['server', 'state'],
      },
      () => registry.all.map(({ name, health }) => [[name, health.state], 1]),
    ),
    new Gauge(
      { name: 'sekisho_server_active_requests', help: 'Calls that a model server works on.', labels: ['server'] },
      () => registry.all.map(({ name, inFlight }) => [[name], inFlight]),
    ),
  ];
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}
