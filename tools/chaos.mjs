// Builds the chaos run of test/chaos and runs it: npm run chaos -- --help.
import { spawn } from 'node:child_process';
import { bundle } from './bundle.mjs';

const outfile = 'dist/chaos/main.js';
await bundle('test/chaos/main.ts', outfile);
const args = ['--enable-source-maps', outfile, ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { stdio: 'inherit' });
// Ctrl-C reaches the run by itself; it is waited for. Others' signals are handed on.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.once('exit', (code) => process.exit(code ?? 1));
