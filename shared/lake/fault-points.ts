/**
 * Where tests stop or kill the process while it writes to the lake. Each is awaited in the code; a
 * test fails if one is never reached.
 */
export const lakeFaultPoints = [
  'flush.before-file',
  'flush.after-file',
  'flush.before-table-commit',
  'flush.after-table-commit',
  'flush.before-checkpoint',
  'flush.after-checkpoint',
] as const;
