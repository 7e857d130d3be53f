/** The executable: hands the process over to the command, and ends with its exit code. */
import { run } from './cli.ts';
import { processIo } from './io.ts';

const code = await run(process.argv.slice(2), processIo());
// What was written must be out before the process goes; open handles of the command do not hold it.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
