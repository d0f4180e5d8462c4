import { cpus, totalmem } from 'node:os';

/** One line that every benchmark prints first: figures mean nothing without it. */
export function machineLine(seed: number): string {
  const [cpu] = cpus();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown CPU'}, ${memoryGiB} GiB, Node ${process.version}, V8 ${process.versions.v8}, seed ${seed}`;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** A repeatable stream of numbers from 0 to 1 (a linear congruential generator). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
