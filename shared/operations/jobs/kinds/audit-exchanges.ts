import { isLaterVersion } from '../../../model/version-name';
import { isNewerLife } from '../../../ledger/ledger-reader';
import type { AuditedStage } from './audit-plans';
import type { Discrepancy, Recount } from './recount-log';

/** What was sent may be on its way for so long. */
const underWayMs = 30_000;

interface Compared {
  readonly stagesOf: (version: string) => readonly AuditedStage[];
  readonly recounts: readonly Recount[];
  /** Events that the end of a version counted as given up, by hub; null: it has not ended, or nobody knows. */
  readonly givenUpIn: (version: string) => Readonly<Record<string, number>> | null;
  readonly note: (note: string) => void;
}

/** Events sent over each exchange against events taken in from it, version by version. */
export function compareExchanges(compared: Compared): readonly Discrepancy[] {
  const versions = new Set(compared.recounts.map(({ path }) => path.version));
  return Array.from(versions).flatMap((version) => compareVersion(compared, version));
}

function compareVersion(compared: Compared, version: string): readonly Discrepancy[] {
  const { note, recounts, stagesOf } = compared;
  const own = recounts.filter(({ path }) => path.version === version);
  const isOver = recounts.some(({ path }) => isLaterVersion(path.version, version));
  const givenUp = compared.givenUpIn(version);
  const newest = (stage: string, partition: string): Recount | undefined =>
    own
      .filter(({ path }) => path.stage === stage && path.partition === partition)
      .sort((left, right) => (isNewerLife(left.path, right.path) ? -1 : 1))[0];
  const found: Discrepancy[] = [];
  const leftOver: Record<string, number> = {};
  for (const producer of own) {
    const { partition, stage } = producer.path;
    if (newest(stage, partition) !== producer) continue;
    for (const [target, sent] of Object.entries(producer.sent)) {
      const { hub, port, to } = parsed(target);
      const consumerStage = stagesOf(version).find(({ input }) => input.hub === hub);
      const consumer = consumerStage && newest(consumerStage.name, to);
      const taken = consumer?.taken[`${stage}/${partition}${port}`] ?? 0;
      const where = `exchange ${target} from ${stage}/${partition} of ${version}`;
      if (taken > sent) found.push({ where, what: `${taken} events were taken in, ${sent} sent` });
      if (taken >= sent) continue;
      const what = `${sent} events were sent, ${taken} taken in`;
      if (isOver || givenUp !== null || producer.isEnded) {
        leftOver[hub] = (leftOver[hub] ?? 0) + sent - taken;
        continue;
      }
      const readAtMs = consumer?.recountedAtMs ?? 0;
      const isOld = producer.lastOutboxAtMs < readAtMs - underWayMs;
      if (isOld && (consumer?.lag ?? 1) === 0) found.push({ where, what });
      else note(`${where}: ${what}: ${sent - taken} are under way`);
    }
  }
  return [...found, ...compareGivenUp({ version, leftOver, givenUp, note })];
}

/** What the tasks of a version that is over had not taken in was counted when it ended. */
function compareGivenUp(ended: {
  readonly version: string;
  readonly leftOver: Readonly<Record<string, number>>;
  readonly givenUp: Readonly<Record<string, number>> | null;
  readonly note: (note: string) => void;
}): readonly Discrepancy[] {
  const { givenUp, leftOver, note, version } = ended;
  const hubs = new Set([...Object.keys(leftOver), ...Object.keys(givenUp ?? {})]);
  return Array.from(hubs).flatMap((hub) => {
    const left = leftOver[hub] ?? 0;
    const where = `exchange ${hub} of ${version}`;
    if (givenUp !== null && left !== (givenUp[hub] ?? 0)) {
      const what = `${left} events were under way when the version ended, ${givenUp[hub] ?? 0} were counted`;
      return [{ where, what }];
    }
    note(`${where}: ${left} events were under way when the version ended, and are given up`);
    return [];
  });
}

/** `<hub>[#<port>]/<partition>`. */
function parsed(target: string): { hub: string; port: string; to: string } {
  const slash = target.lastIndexOf('/');
  const [hub = '', port] = target.slice(0, slash).split('#');
  return { hub, port: port === undefined ? '' : `#${port}`, to: target.slice(slash + 1) };
}
