// Builds the simulation of test/simulation and runs it: npm run simulate:engine -- --help.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { bundle } from './bundle.mjs';

// Of this process alone: several may run at the same time.
const outfile = `dist/simulation/main-${process.pid}.js`;
await bundle('test/simulation/main.ts', outfile);
const args = ['--enable-source-maps', outfile, ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
for (const file of [outfile, `${outfile}.map`]) rmSync(file, { force: true });
process.exit(status ?? 1);
