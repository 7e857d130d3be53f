/**
 * A control plane inside a process, started and timed: tells its parent how long loading and starting took, then runs on
 * with its loops until it is told to end.
 */
const beganMs = performance.now();
const { startControlPlane } = await import('@keelson/embed');
const loadedMs = performance.now();
const plane = await startControlPlane({ disk: 'memory' });
const readyMs = performance.now();
process.send?.({ loadMs: loadedMs - beganMs, readyMs: readyMs - loadedMs });
process.once('SIGTERM', () => void plane.stop().then(() => process.exit(0)));
