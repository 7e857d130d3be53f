/**
 * grpc.health.v1: a member answers for itself (service "") and knows no other service. It serves while it runs,
 * except for the time of a defragmentation where the operator wants clients to go elsewhere meanwhile.
 */
import { healthpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type MethodTable } from '@keelson/rpc';

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = healthpb.ServingStatus;

/** What health says; who watches is told of each change. */
export class ServingStatus {
  private pauses = 0;
  private readonly watchers = new Set<() => void>();

  get status(): healthpb.ServingStatus {
    return this.pauses > 0 ? NOT_SERVING : SERVING;
  }

  /** Until as many calls of resume(). */
  pause(): void {
    if (++this.pauses === 1) this.tell();
  }

  resume(): void {
    if (--this.pauses === 0) this.tell();
  }

  /** @returns ends it */
  watch(changed: () => void): () => void {
    this.watchers.add(changed);
    return () => void this.watchers.delete(changed);
  }

  private tell(): void {
    for (const changed of this.watchers) changed();
  }
}

export function registerHealth(table: MethodTable, serving: ServingStatus): void {
  const { Health } = services;
  table.unary(Health.methods.check, (request) => {
    if (request.service !== '') throw new RpcError(StatusCode.NotFound, 'unknown service');
    return new healthpb.HealthCheckResponse({ status: serving.status });
  });
  // A message now and one at each change, until the client goes.
  table.serverStream(Health.methods.watch, (request, stream) => {
    const tell = (): void => {
      const status = request.service === '' ? serving.status : SERVICE_UNKNOWN;
      stream.write(new healthpb.HealthCheckResponse({ status }));
    };
    tell();
    if (request.service === '') stream.call.onCancel(serving.watch(tell));
  });
}
