/** Durations as milliseconds, written so that the unit is read. Whole ones: 1.1 s is 1,100 ms. */
export const milliseconds = (count: number): number => count;
export const seconds = (count: number): number => Math.round(count * 1_000);
export const minutes = (count: number): number => Math.round(count * 60_000);
export const hours = (count: number): number => Math.round(count * 3_600_000);
export const days = (count: number): number => Math.round(count * 86_400_000);
