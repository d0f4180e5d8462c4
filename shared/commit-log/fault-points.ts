/**
 * Where tests stop or kill the process while it writes to a commit log. Each is awaited in
 * task-log.ts; a test fails if one is never reached.
 */
export const commitLogFaultPoints = [
  'commit.before-append',
  'commit.after-append',
  'snapshot.after-part',
  'roll.before-seal',
  'roll.after-seal',
  'roll.after-create',
  'roll.after-header',
] as const;

export type CommitLogFaultPoint = (typeof commitLogFaultPoints)[number];
