/** grpc.health.v1: a serving member answers SERVING for itself (service ""), and knows no other service. */
import { healthpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type MethodTable } from '@keelson/rpc';

const SERVING = healthpb.ServingStatus.SERVING;
const SERVICE_UNKNOWN = healthpb.ServingStatus.SERVICE_UNKNOWN;

export function registerHealth(table: MethodTable): void {
  const { Health } = services;
  table.unary(Health.methods.check, (request) => {
    if (request.service !== '') throw new RpcError(StatusCode.NotFound, 'unknown service');
    return new healthpb.HealthCheckResponse({ status: SERVING });
  });
  // The status never changes while the member serves: one message, then silence until the client goes.
  table.serverStream(Health.methods.watch, (request, stream) => {
    stream.write(
      new healthpb.HealthCheckResponse({ status: request.service === '' ? SERVING : SERVICE_UNKNOWN }),
    );
  });
}
