/** What the API server promises, as data: design section 6. Rates are against the echo behind the same port's code. */
import { extra, PER_SECOND, type Target } from '../targets.ts';

const COMMAND = 'keelson bench apiserver';

const alone = (step: string, name: string, key: string, unit: string, value: number): Target => ({
  step,
  figure: extra(name, key, unit),
  against: 'alone',
  bound: 'at most',
  value,
  command: COMMAND,
});

const echo = (step: string, value: number): Target => ({
  step,
  figure: PER_SECOND,
  against: 'echo',
  bound: 'at least',
  value,
  command: COMMAND,
});

export const API_TARGETS: readonly Target[] = [
  echo('create-configmap', 0.2),
  echo('create-pod', 0.2),
  echo('get-configmap', 0.4),
  echo('get-pod', 0.4),
  alone('list-10000', '10,000 pods, until the last byte', 'listMs', 'ms', 150),
  alone('list-10000', '… until the first', 'listFirstByteMs', 'ms', 30),
  ...['', 'Protobuf', 'Table'].map((form) =>
    alone(
      'list-10000',
      `longest turn of the event loop${form === '' ? '' : `, ${form.toLowerCase()}`} (pauses apart)`,
      `list${form}WorkedMaxMs`,
      'ms',
      10,
    ),
  ),
  ...['watch-configmap', 'watch-pod'].map((step): Target => ({
    ...echo(step, 100_000),
    figure: { ...PER_SECOND, name: 'events delivered' },
    against: 'alone',
  })),
  alone('start', 'process, until /readyz', 'processReadyMs', 'ms', 700),
  alone('embedded', 'embedded, until /readyz', 'embeddedReadyMs', 'ms', 300),
  alone('embedded', 'embedded, resident after 10 s with loops', 'embeddedIdleMb', 'MB', 150),
  alone('definitions', 'a definition of 20 kB, resident', 'definitionsResidentMbEach', 'MB', 0.2),
  alone('definitions', 'a definition of 240 kB, resident, by its JSON', 'largeResidentTimesJson', '×', 3),
  alone(
    'custom-beside',
    'a list of 100 custom objects, CPU, by the same of ConfigMaps',
    'listRatio',
    '×',
    1.2,
  ),
  alone('custom-beside', 'an event to a watcher, likewise', 'watchRatio', '×', 1.2),
  alone('idle', 'process, resident after 10 s with loops', 'idleMb', 'MB', 150),
];
