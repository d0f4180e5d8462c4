/** The emulator as a process of its own. */
import { runEmulator } from './command';

void runEmulator(process.argv.slice(2));
