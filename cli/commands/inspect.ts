import { isBalanced, totalsByStage, type TaskAccount } from '../../shared/ledger/ledger-reader';
import type { LedgerCounts } from '../../shared/model/commit';
import { lossText } from '../../shared/task/promotion';
import { planHash } from '../../shared/model/plan-document';
import {
  emulatorConfig,
  explain,
  fitTo,
  functionNotes,
  plan,
  planDocument,
  type TierName,
} from '../../shared/planner';
import type { Topology } from '../../shared/dataflow';
import { WrongUse } from '../arguments';
import type { Output } from '../output';
import type { Store } from '../store';

/**
 * Prints the plan; as JSON, or as the emulator's configuration.
 * @returns false where the tier does not allow it
 */
export function explainPlan(
  topologies: readonly Topology[],
  options: { topology?: string; emulatorConfig: boolean; tier: TierName },
  output: Output,
): boolean {
  const chosen = topologies.filter(
    ({ name }) => options.topology === undefined || options.topology === name,
  );
  if (chosen.length === 0) throw unknownTopology(topologies, options.topology ?? '');
  const planned = plan(chosen);
  if (options.emulatorConfig) {
    const config = emulatorConfig(planned);
    output.result(config, JSON.stringify(config, null, 2));
    return true;
  }
  const fit = fitTo(planned, options.tier);
  const documents = chosen.map((topology) => {
    const document = planDocument(topology);
    return { ...document, planHash: planHash(document), functions: functionNotes(topology) };
  });
  output.result({ ...planned, ...fit, topologies: documents }, explain(planned, chosen, fit));
  return fit.exceeded.length === 0;
}

/** Recounts the ledger of one topology, or of all; false when one does not balance. */
export async function showLedger(
  store: Store,
  topologies: readonly Topology[],
  topology: string | undefined,
  output: Output,
): Promise<boolean> {
  if (topology !== undefined) {
    assertKnown(topologies, topology);
    const { text, ...one } = await recounted(store, topology);
    output.result(one, text);
    return one.isBalanced;
  }
  const all = [];
  for (const { name } of topologies) all.push(await recounted(store, name));
  const isRight = all.every(({ isBalanced: isOneRight }) => isOneRight);
  output.result(
    {
      isBalanced: isRight,
      topologies: all.map(({ topology: name, isBalanced: isOneRight, stages, tasks }) => ({
        ...{ topology: name, isBalanced: isOneRight, stages, tasks },
      })),
    },
    all.map((one) => `topology ${one.topology}\n${one.text}`).join('\n\n'),
  );
  return isRight;
}

interface Recounted {
  readonly topology: string;
  readonly isBalanced: boolean;
  readonly stages: readonly ({ readonly stage: string } & LedgerCounts)[];
  readonly tasks: readonly TaskAccount[];
  /** For people. */
  readonly text: string;
}

/** Recounts a topology's ledger from its commit logs. */
async function recounted(store: Store, topology: string): Promise<Recounted> {
  const accounts = await store.ledger(topology).refresh();
  const stages = Array.from(totalsByStage(accounts), ([stage, ledger]) => ({ stage, ...ledger }));
  const isRight = accounts.every(({ ledger }) => isBalanced(ledger));
  const lines = [
    row('stage', 'partition', headings),
    ...accounts.map(taskRow),
    ...stages.map(({ stage, ...ledger }) => row(stage, 'all', cellsOf(ledger))),
    verdictOn(accounts, isRight),
    ...accounts.flatMap(({ path, promotion }) =>
      promotion === null ? [] : [lossText(`${path.stage}/${path.partition}`, promotion)],
    ),
  ];
  return { topology, isBalanced: isRight, stages, tasks: accounts, text: lines.join('\n') };
}

function verdictOn(accounts: readonly TaskAccount[], isRight: boolean): string {
  if (accounts.length === 0) return 'Nothing is committed on this store yet (--storage).';
  return isRight
    ? 'Balanced: every event read has exactly one end.'
    : 'NOT BALANCED: run an audit.';
}

const headings = ['read', 'emitted', 'filtered', 'late', 'dead', 'gap'];

function cellsOf(ledger: LedgerCounts): string[] {
  const { deadLettered, emitted, filtered, gap, late, read } = ledger;
  return [read, emitted, filtered, late, deadLettered, gap].map(String);
}

function taskRow({ ledger, path }: TaskAccount): string {
  return row(path.stage, path.partition, cellsOf(ledger));
}

function row(stage: string, partition: string, cells: readonly string[]): string {
  return [stage.padEnd(20), partition.padStart(9), ...cells.map((cell) => cell.padStart(11))].join(
    ' ',
  );
}

export function assertKnown(topologies: readonly Topology[], topology: string): void {
  if (topologies.some(({ name }) => name === topology)) return;
  throw unknownTopology(topologies, topology);
}

/** Throws WrongUse where no topology has the table. */
export function assertKnownTable(topologies: readonly Topology[], table: string): void {
  const known = plan(topologies).tables.map(({ name }) => name);
  if (known.includes(table)) return;
  throw new WrongUse(`no table is called "${table}"; there is: ${known.join(', ')}`);
}

function unknownTopology(topologies: readonly Topology[], topology: string): Error {
  const known = topologies.map(({ name }) => name).join(', ');
  return new WrongUse(`no topology is called "${topology}"; there is: ${known}`);
}
