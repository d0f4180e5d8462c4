import { planFolder } from '../../model/control-names';
import { StreamError } from '../../model/errors';
import type { BuildIdentity } from '../../model/topology-plan';
import type { PlanDifference } from './compare-plans';
import type { KnownToLogs } from './known-to-logs';
import type { PlanEntry } from './plan-store';

/** The commands that resolve a difference, each with what it does. */
export function commandsFor(
  topology: string,
  differences: readonly PlanDifference[],
): readonly string[] {
  const waiting = differences.filter(({ verdict }) => verdict === 'decision');
  const removable = waiting.filter(({ isRemovable }) => isRemovable);
  return [
    `millrace decide ${topology} new-version   begins a new version where the former one stops: what is open is given up and counted`,
    `millrace drain ${topology}   with the former build, lets what is open come to its end; then: millrace begin ${topology}`,
    ...(removable.length > 0 && removable.length === waiting.length
      ? [
          `millrace remove ${topology} ${removable.map(({ node }) => nameOf(node)).join(' ')}   gives up what is open in it alone, and counts it`,
        ]
      : []),
    'or put back what was changed',
  ];
}

/** The name in the id of a node. */
function nameOf(nodeId: string): string {
  return nodeId.slice(nodeId.indexOf(' ') + 1);
}

export function decisionNeeded(
  entry: PlanEntry,
  differences: readonly PlanDifference[],
): StreamError {
  const { number, topology, version } = entry;
  const waiting = differences.filter(({ verdict }) => verdict === 'decision');
  const lines = waiting.map(({ text }) => `  - ${text}`);
  const commands = commandsFor(topology, differences).map((command) => `  ${command}`);
  return new StreamError(
    'STREAM_DECISION_NEEDED',
    `topology ${topology} was changed, and nothing is read until somebody has decided what becomes of what is there:\n` +
      `${lines.join('\n')}\nWhat can be done:\n${commands.join('\n')}`,
    { details: { topology, version, number, differences: waiting.map(({ text }) => text) } },
  );
}

/** The logs of a topology know of a plan, or of a version, that control does not. */
export function controlBehind(
  topology: string,
  { hasLogs, plan, version }: KnownToLogs,
): StreamError {
  const what = hasLogs
    ? `were written under plan ${plan?.number ?? 0} (${plan?.hash ?? 'unknown'}) of version ${version ?? ''}`
    : `were ended for version ${version ?? ''}`;
  const restored = hasLogs ? ', or deploy the build of that plan, which writes it anew' : '';
  return new StreamError(
    'STREAM_DECISION_NEEDED',
    `the logs of ${topology} ${what}, which ${planFolder(topology)} does not have: it was deleted, or is an older copy. ` +
      `Put it back${restored}. Neither can be done: millrace decide ${topology} new-version goes on where the logs stop`,
    { details: { topology, version, number: plan?.number ?? 0, hash: plan?.hash ?? null } },
  );
}

export function topologyRemoved({ atMs, number, topology, version }: PlanEntry): StreamError {
  return new StreamError(
    'STREAM_DECISION_NEEDED',
    `topology ${topology} was removed ${new Date(atMs).toISOString()}: nothing is read. millrace begin ${topology} begins it again; or take it out of the app`,
    { details: { topology, version, number } },
  );
}

/** Another build is the one that commits. */
export function superseded(
  entry: PlanEntry,
  build: BuildIdentity,
  why: 'older' | 'rolled-back' | 'command',
): StreamError {
  const { number, topology, version } = entry;
  const other = `build ${entry.build.id} (plan ${number}, version ${version})`;
  const texts = {
    older: `${other} is newer and goes on with topology ${topology}: this build commits nothing, its batches are read by the other. To go back: millrace rollback ${topology} --to ${build.id}`,
    'rolled-back': `build ${build.id} was rolled back, ${other} goes on with topology ${topology}. A newer build takes over by itself; this one again: millrace rollback ${topology} --to ${build.id}`,
    command: `the topologies of this command are not those that run: ${other} goes on with topology ${topology}. Use the command of that build; millrace plan ${topology} shows what differs`,
  };
  return new StreamError('STREAM_BUILD_SUPERSEDED', texts[why], {
    details: { topology, version, number, build: build.id, by: entry.build.id },
  });
}
