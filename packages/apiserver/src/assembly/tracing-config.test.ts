/** Configurations of tracing; refusals as kube-apiserver 1.36 gave them. */

import { expect, test } from '@jest/globals';

import { readTracingConfig } from './tracing-config.ts';

const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n';

test.each<[string, string, number]>([
  ['', 'localhost:4317', 0],
  ['endpoint: collector:4317\nsamplingRatePerMillion: 100\n', 'collector:4317', 100],
  ['endpoint: dns:///collector:4317\nsamplingRatePerMillion: 1000000\n', 'collector:4317', 1_000_000],
  ['endpoint: unix:///run/otel.sock\n', 'unix:/run/otel.sock', 0],
])('%j', (text, endpoint, samplingRate) => {
  expect(readTracingConfig(head + text)).toEqual({ endpoint, samplingRate });
});

test.each<[string, string]>([
  [
    'endpoint: "htp://x"\nsamplingRatePerMillion: 2000000\n',
    'failed to validate tracing configuration: [samplingRatePerMillion: Invalid value: 2000000: sampling rate per million must be less than or equal to one million, endpoint: Invalid value: "htp://x": unsupported scheme: htp.  Options are none, dns, unix, or unix-abstract.  See https://github.com/grpc/grpc/blob/master/doc/naming.md]',
  ],
  [
    'samplingRatePerMillion: -1\n',
    'failed to validate tracing configuration: samplingRatePerMillion: Invalid value: -1: sampling rate must be positive',
  ],
  [
    'foo: bar\n',
    'failed to read tracing config: unable to decode tracing configuration data: strict decoding error: unknown field "foo"',
  ],
])('%j is refused', (text, message) => {
  expect(() => readTracingConfig(head + text)).toThrow(expect.objectContaining({ message }));
});
