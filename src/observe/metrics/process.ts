// Metrics of this process: CPU, memory, descriptors and the event loop. Names by OpenTelemetry's conventions for
// processes, Node.js and V8, in the form that Prometheus gives them.
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import process from 'node:process';
import { Gauge, gauge, type Metric } from './metric.ts';

const nanoseconds = 1e9;

/** Measures the event loop until `stop` is called. */
export function processMetrics(): { readonly metrics: readonly Metric[]; readonly stop: () => void } {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const startedAt = Date.now() / 1000 - process.uptime();
  let utilization = performance.eventLoopUtilization();
  const metrics: Metric[] = [
    new Gauge(
      { name: 'process_cpu_time_seconds_total', help: 'CPU time of the process.', labels: ['cpu_mode'] },
      () => {
        const { user, system } = process.cpuUsage();
        return [
          [['user'], user / 1e6],
          [['system'], system / 1e6],
        ];
      },
      'counter',
    ),
    gauge('process_memory_usage_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss()),
    gauge('v8js_memory_heap_used_bytes', 'Used memory of the JavaScript heap.', () => process.memoryUsage().heapUsed),
    gauge('process_unix_file_descriptor_count', 'Open file descriptors.', descriptors),
    gauge('process_start_time_seconds', 'When the process started, in seconds since 1970.', () => startedAt),
    gauge('nodejs_eventloop_delay_p50_seconds', 'Delay of the event loop since the last look, median.', () =>
      secondsOf(delay.percentile(50)),
    ),
    // Resets the measurement, so that each look reports its own interval; the median above is read before.
    gauge('nodejs_eventloop_delay_p99_seconds', 'Delay of the event loop since the last look, 99th percentile.', () => {
      const p99 = secondsOf(delay.percentile(99));
      delay.reset();
      return p99;
    }),
    gauge('nodejs_eventloop_utilization_ratio', 'Share of the time in which the event loop was busy.', () => {
      const now = performance.eventLoopUtilization();
      const busy = performance.eventLoopUtilization(now, utilization).utilization;
      utilization = now;
      return busy;
    }),
  ];
  return { metrics, stop: () => delay.disable() };
}

/** Without a measurement yet, the percentile is 0. */
const secondsOf = (delayNs: number): number => (Number.isFinite(delayNs) ? delayNs / nanoseconds : 0);

function descriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    // Not on this operating system.
    return Number.NaN;
  }
}
