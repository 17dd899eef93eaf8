import { SERVICES, type ServiceName } from '#lib/topology/topology.ts';
import { labelsOf } from './service-manifests.ts';
import { SIZING } from './sizing.ts';

/** Replicas beyond the number of partitions would stand idle: the policy check compares it with PARTITIONS. */
export const MAX_REPLICAS = 8;
const CPU_PERCENT = 70;
/** Frames waiting per replica that are no trouble: a frame is worked off in milliseconds. */
const LAG_FRAMES_PER_REPLICA = 500;
/** Where the Prometheus of the cluster answers; an overlay changes it in one place. */
const PROMETHEUS = 'http://prometheus-operated.monitoring.svc:9090';

const steady = {
  // A replica that comes or goes moves partitions: add quickly, take away slowly.
  scaleUp: { stabilizationWindowSeconds: 15, policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
  scaleDown: { stabilizationWindowSeconds: 600, policies: [{ type: 'Pods', value: 1, periodSeconds: 120 }] },
};

/** Plain Kubernetes: by CPU alone. */
export function cpuAutoscalers(
  which: readonly ServiceName[] = SERVICES.filter((s) => SIZING[s].scalesByCpu),
): object[] {
  return which.map((service) => ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: service, labels: labelsOf(service, 'service') },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: service },
      minReplicas: SIZING[service].replicas,
      maxReplicas: MAX_REPLICAS,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: CPU_PERCENT } },
        },
      ],
      behavior: steady,
    },
  }));
}

/** With KEDA: stages by what waits for them, and by CPU; what takes events in by CPU. */
export function lagAutoscalers(): object[] {
  const byLag = SERVICES.filter((service) => SIZING[service].scalesByLag);
  const byCpuOnly = SERVICES.filter((service) => SIZING[service].scalesByCpu && !SIZING[service].scalesByLag);
  return [...cpuAutoscalers(byCpuOnly), ...byLag.map(scaledObject)];
}

function scaledObject(service: ServiceName): object {
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: { name: service, labels: labelsOf(service, 'service') },
    spec: {
      scaleTargetRef: { name: service },
      minReplicaCount: SIZING[service].replicas,
      maxReplicaCount: MAX_REPLICAS,
      pollingInterval: 15,
      // Prometheus away: keep what serves well enough.
      fallback: { failureThreshold: 4, replicas: SIZING[service].replicas, behavior: 'currentReplicasIfHigher' },
      advanced: { horizontalPodAutoscalerConfig: { behavior: steady } },
      triggers: [
        {
          type: 'prometheus',
          metadata: {
            serverAddress: PROMETHEUS,
            // Of a partition's lag only its owner knows: the largest of what replicas say, summed over partitions.
            query: `sum(max by (partition) (recur_lag_frames{stage="${service}"}))`,
            threshold: String(LAG_FRAMES_PER_REPLICA),
          },
        },
        { type: 'cpu', metricType: 'Utilization', metadata: { value: String(CPU_PERCENT) } },
      ],
    },
  };
}
