/**
 * What changed between two plans of one topology, and what that means for the logs that the first one wrote.
 * Pure: what depends on what is open in logs is told as a question (`PlanDifference.asks`).
 */
import {
  canonicalJson,
  type Json,
  type PlanDocument,
  type PlanNode,
} from '../../model/plan-document';

/**
 * - `same`: nothing that a log or a table could tell.
 * - `compatible`: builds with either plan can take turns until all run the new one.
 * - `decision`: somebody has to say what becomes of what is there.
 */
export type Verdict = 'same' | 'compatible' | 'decision';

/** A fact that only logs know: is there anything open in a node? */
export interface OpenQuestion {
  readonly stage: string;
  /** Name of the node. */
  readonly name: string;
}

export interface PlanDifference {
  readonly verdict: Verdict;
  /** The node that it is about. */
  readonly node: string;
  /** One line: what changed, and what it means. */
  readonly text: string;
  /** Only a decision where the logs answer with more than 0; else it is compatible. */
  readonly asks: readonly OpenQuestion[];
  /** The node's state or rows can be given up alone: `millrace remove <topology> <node>` does it. */
  readonly isRemovable: boolean;
  /** A rollback undoes it: the older build goes on, with null for what it does not know, or event by event. */
  readonly isUndone: boolean;
}

/** Differences in the order of the nodes' ids; empty: the plans are equal. */
export function comparePlans(before: PlanDocument, after: PlanDocument): readonly PlanDifference[] {
  const old = new Map(before.nodes.map((node) => [node.id, node]));
  const found = new Map<string, readonly PlanDifference[]>();
  const added = after.nodes.filter(({ id }) => !old.has(id));
  for (const node of after.nodes) {
    const former = old.get(node.id);
    old.delete(node.id);
    found.set(node.id, former === undefined ? [addition(node)] : changes(former, node));
  }
  for (const node of old.values()) found.set(node.id, [removal(node, added)]);
  return Array.from(found)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([, differences]) => differences);
}

/** The gravest verdict of all; of none, `same`. */
export function verdictOf(differences: readonly Pick<PlanDifference, 'verdict'>[]): Verdict {
  if (differences.some(({ verdict }) => verdict === 'decision')) return 'decision';
  return differences.some(({ verdict }) => verdict === 'compatible') ? 'compatible' : 'same';
}

/** Answers the questions: where nothing is open, nobody need decide. */
export async function answered(
  differences: readonly PlanDifference[],
  count: (question: OpenQuestion) => Promise<number>,
): Promise<readonly PlanDifference[]> {
  const settled: PlanDifference[] = [];
  for (const difference of differences) {
    const { asks, text } = difference;
    if (asks.length === 0) {
      settled.push(difference);
      continue;
    }
    let open = 0;
    for (const question of asks) open += await count(question);
    settled.push(
      open === 0
        ? {
            ...difference,
            asks: [],
            verdict: 'compatible',
            text: `${text}; nothing is open in it`,
          }
        : { ...difference, asks: [], text: `${text}; ${open} keys are open` },
    );
  }
  return settled;
}

function questionsOf({ name, stages }: PlanNode): OpenQuestion[] {
  return stages.map((stage) => ({ stage, name }));
}

const plain = { asks: [], isRemovable: false, isUndone: false } as const;

function addition(node: PlanNode): PlanDifference {
  const text = `${node.id} is new: it begins with what comes from now on`;
  return { ...plain, verdict: 'compatible', node: node.id, text };
}

function removal(node: PlanNode, added: readonly PlanNode[]): PlanDifference {
  const { id, kind, name } = node;
  const place = { ...plain, node: id, isRemovable: true };
  if (kind === 'source') {
    const text = `${id} is gone: nobody would read hub ${name} any more, and what its tasks owe would stay in their logs`;
    return { ...plain, verdict: 'decision', node: id, text };
  }
  if (kind === 'toLake') {
    const text = `${id} is gone: rows that wait leave, and no more come into table ${name}`;
    return { ...plain, verdict: 'compatible', node: id, text };
  }
  if (kind === 'keyBy' && hasExchange(node)) {
    const text = `${id} is gone, and stage ${name} with it: what is under way in its exchange would be read by nobody`;
    // A rollback leaves the stage as it is, for a later build that has it.
    return { ...plain, verdict: 'decision', node: id, text, isUndone: true };
  }
  if (node.fingerprint === null || kind === 'keyBy') {
    // What keeps nothing can come and go, and so can default names, which are numbers.
    return { ...plain, verdict: 'compatible', node: id, text: `${id} is gone: it kept nothing` };
  }
  const twin = added.find(
    (other) =>
      other.kind === kind && canonicalJson(other.fingerprint) === canonicalJson(node.fingerprint),
  );
  const what =
    twin === undefined
      ? 'is gone'
      : `is gone, or has the name ${twin.name} now: state belongs to a name`;
  const asks = questionsOf(node);
  return { ...place, verdict: 'decision', text: `${id} ${what}`, asks };
}

function hasExchange({ settings }: PlanNode): boolean {
  return (settings as { isPartitionedBySource?: boolean }).isPartitionedBySource !== true;
}

function changes(before: PlanNode, after: PlanNode): PlanDifference[] {
  const { fingerprint, id, kind } = before;
  const found: PlanDifference[] = [];
  const add = (
    verdict: Verdict,
    text: string,
    more: Partial<Pick<PlanDifference, 'asks' | 'isRemovable' | 'isUndone'>> = {},
  ): void => {
    found.push({ ...plain, ...more, verdict, node: id, text: `${id}: ${text}` });
  };
  const asks = questionsOf(before);
  if (canonicalJson(before.stages) !== canonicalJson(after.stages)) {
    const move = `it runs in stage ${after.stages.join(' and ')} now, it was in ${before.stages.join(' and ')}`;
    if (fingerprint !== null) add('decision', `${move}, where its state is`, { asks });
    else add('compatible', move);
  }
  if (canonicalJson(fingerprint) !== canonicalJson(after.fingerprint)) {
    const what = jsonChanges(fingerprint, after.fingerprint).join(', ');
    // A key decides where values go: what is under way, and every store behind it, is by the former one.
    if (kind === 'keyBy') add('decision', `${what}: values go elsewhere`);
    else add('decision', `${what}: what it keeps means something else`, { asks });
  }
  if (canonicalJson(before.inputs) !== canonicalJson(after.inputs)) {
    const input = `it takes ${after.inputs.join(', ')} now, it took ${before.inputs.join(', ')}`;
    // Names of what keeps nothing are numbers by default: two lines that were swapped swap them.
    add('compatible', input);
  }
  if (kind === 'toLake') tableChanges(before, after, add);
  else if (kind === 'source') sourceChanges(before, after, add);
  else {
    const settings = jsonChanges(before.settings, after.settings);
    if (settings.length > 0)
      add('compatible', `${settings.join(', ')}, for what comes from now on`);
  }
  return found;
}

type Add = (verdict: Verdict, text: string, more?: { readonly isUndone: boolean }) => void;

interface ColumnSettings {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
}

interface TableSettings {
  readonly columns: readonly ColumnSettings[];
  readonly partitionBy: Json;
  readonly format: Json;
  readonly flush: Json;
}

function tableChanges(before: PlanNode, after: PlanNode, add: Add): void {
  const old = before.settings as unknown as TableSettings;
  const now = after.settings as unknown as TableSettings;
  const known = new Map(old.columns.map((column) => [column.name, column]));
  for (const { name, nullable, type } of now.columns) {
    const former = known.get(name);
    known.delete(name);
    if (former === undefined) {
      if (nullable)
        add('compatible', `column ${name} is new: it is null in the rows that are there`);
      else
        add(
          'decision',
          `column ${name} is new and may not be null, but the rows that are there have none`,
        );
    } else if (former.type !== type) {
      add(
        'decision',
        `column ${name} is ${type} now, it was ${former.type}: one table cannot hold both`,
      );
    } else if (former.nullable && !nullable) {
      add(
        'decision',
        `column ${name} may not be null any more, rows that are there may have it so`,
      );
    } else if (!former.nullable && nullable) {
      add(
        'decision',
        `column ${name} may be null now: readers of the table were told that it never is`,
      );
    }
  }
  for (const { name, nullable } of known.values()) {
    const text = `column ${name} is gone: rows that are there have it`;
    add('decision', text, { isUndone: nullable });
  }
  for (const part of ['partitionBy', 'format'] as const) {
    if (canonicalJson(old[part]) === canonicalJson(now[part])) continue;
    add(
      'decision',
      `${jsonChanges(old[part], now[part], part).join(', ')}: one table cannot have both`,
    );
  }
  const flush = jsonChanges(old.flush, now.flush);
  if (flush.length > 0) add('compatible', `${flush.join(', ')}, for what comes from now on`);
}

interface ObjectSchema {
  readonly properties?: { readonly [name: string]: Json };
  readonly required?: readonly string[];
}

const undone = { isUndone: true };

function sourceChanges(before: PlanNode, after: PlanNode, add: Add): void {
  const { schema: oldSchema = {}, ...oldRest } = before.settings as { schema?: ObjectSchema };
  const { schema: newSchema = {}, ...newRest } = after.settings as { schema?: ObjectSchema };
  const old = oldSchema.properties ?? {};
  const now = newSchema.properties ?? {};
  const isRequired = (schema: ObjectSchema, name: string): boolean =>
    schema.required?.includes(name) === true;
  for (const [name, property] of Object.entries(now)) {
    const former = old[name];
    if (former === undefined) {
      if (isRequired(newSchema, name)) {
        add(
          'decision',
          `field ${name} is new and required: events that are in the hub lack it, and would be dead letters`,
          undone,
        );
      } else add('compatible', `field ${name} is new and may be missing`);
    } else if (canonicalJson(former) !== canonicalJson(property)) {
      const what = jsonChanges(former, property, name).join(', ');
      const text = `field ${what}: events that are in the hub may be dead letters now`;
      add('decision', text, undone);
    } else if (isRequired(newSchema, name) && !isRequired(oldSchema, name)) {
      const text = `field ${name} is required now: events that are in the hub may lack it`;
      add('decision', text, undone);
    } else if (!isRequired(newSchema, name) && isRequired(oldSchema, name)) {
      add('compatible', `field ${name} may be missing now`);
    }
  }
  for (const name of Object.keys(old)) {
    if (!(name in now)) add('compatible', `field ${name} is not asked for any more`);
  }
  const settings = jsonChanges(oldRest, newRest);
  if (settings.length > 0) add('compatible', `${settings.join(', ')}, for what comes from now on`);
}

/** What differs in two pieces of data, as `sizeMs 120000 (was 60000)`, with the path where they differ. */
function jsonChanges(before: Json, after: Json, path = ''): string[] {
  if (canonicalJson(before) === canonicalJson(after)) return [];
  if (isObject(before) && isObject(after)) {
    const names = Array.from(new Set([...Object.keys(before), ...Object.keys(after)])).sort();
    return names.flatMap((name) => {
      const place = path === '' ? name : `${path}.${name}`;
      return jsonChanges(before[name] ?? null, after[name] ?? null, place);
    });
  }
  return [`${path === '' ? 'it' : path} is ${shownJson(after)}, was ${shownJson(before)}`];
}

function isObject(value: Json): value is { readonly [name: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function shownJson(value: Json): string {
  if (value === null) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
