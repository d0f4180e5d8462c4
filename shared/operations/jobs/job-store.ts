import { StreamError } from '../../model/errors';
import type { AppendStore, Clock, ObjectStore } from '../../model/ports';
import { LineJournal } from '../../commit-log/line-journal';
import { JobState, type JobLine, type JobProgress, type JobRequest, type Piece } from './job-state';

const root = 'jobs/';
const idPattern = /^[a-z0-9][a-z0-9-]{2,60}$/;
const appendTriesMax = 1_000;

export function jobFolder(id: string): string {
  return `${root}${id}/`;
}

/** One process's view of a job: its journal, folded. Not reentrant. */
export class OpenJob {
  readonly id: string;
  readonly state = new JobState();
  readonly #journal: LineJournal<JobLine>;
  readonly #objects: ObjectStore;
  #plan: { readonly name: string; readonly pieces: readonly Piece[] } | null = null;

  constructor(stores: { appends: AppendStore; objects: ObjectStore }, id: string) {
    this.id = id;
    this.#objects = stores.objects;
    this.#journal = new LineJournal(stores.appends, `${jobFolder(id)}journal`);
  }

  async catchUp(): Promise<JobState> {
    for (const line of await this.#journal.catchUp()) this.state.apply(line);
    return this.state;
  }

  /** Appends what `decide` says of the newest state, or nothing when that is nothing. */
  async decide(decide: (state: JobState) => readonly JobLine[]): Promise<readonly JobLine[]> {
    for (let tries = 1; tries <= appendTriesMax; tries += 1) {
      const lines = decide(await this.catchUp());
      if (lines.length === 0) return [];
      if ((await this.#journal.append(lines)) === 'appended') {
        for (const line of lines) this.state.apply(line);
        return lines;
      }
    }
    throw new StreamError(
      'STREAM_COMMIT_CONTENDED',
      `others won ${appendTriesMax} appends in a row to the journal of job ${this.id}: use fewer workers or larger pieces`,
    );
  }

  async piece(id: string): Promise<Piece> {
    const child = this.state.children.get(id);
    if (child !== undefined) return child;
    const piece = (await this.#pieces())[Number(id)];
    if (piece === undefined) throw new Error(`job ${this.id} has no piece ${id}`);
    return piece;
  }

  async #pieces(): Promise<readonly Piece[]> {
    const name = this.state.plan ?? '';
    if (this.#plan?.name !== name) {
      const bytes = await this.#objects.get(name);
      if (bytes === undefined) {
        throw new StreamError('STREAM_LOG_CORRUPT', `${name}, the plan of job ${this.id}, is gone`);
      }
      const lines = Buffer.from(bytes).toString('utf8').split('\n');
      const pieces = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Piece);
      this.#plan = { name, pieces };
    }
    return this.#plan?.pieces ?? [];
  }

  /** Stores a plan under a name of its own; it counts when a `planned` line names it. */
  async putPlan(pieces: readonly Piece[], token: string): Promise<string> {
    const name = `${jobFolder(this.id)}plan-${token}.ndjson`;
    const text = pieces.map((piece) => `${JSON.stringify(piece)}\n`).join('');
    await this.#objects.put(name, Buffer.from(text));
    return name;
  }
}

/** All jobs of a store. */
export class JobStore {
  readonly #stores: { readonly appends: AppendStore; readonly objects: ObjectStore };
  readonly #clock: Clock;

  constructor(world: { appends: AppendStore; objects: ObjectStore; clock: Clock }) {
    this.#stores = world;
    this.#clock = world.clock;
  }

  /** Creates a job; one that is there under the same id stays as it is. */
  async create(request: JobRequest): Promise<void> {
    const job = this.open(request.id);
    await job.decide((state) =>
      state.request === null ? [{ kind: 'created', atMs: this.#clock.nowMs(), job: request }] : [],
    );
  }

  /** @throws StreamError STREAM_CONFIGURATION_INVALID when no job can have this id */
  open(id: string): OpenJob {
    if (!idPattern.test(id)) {
      throw new StreamError(
        'STREAM_CONFIGURATION_INVALID',
        `a job's id has 3 to 61 of a-z, 0-9 and -, it is ${JSON.stringify(id.slice(0, 80))}`,
      );
    }
    return new OpenJob(this.#stores, id);
  }

  async cancel(id: string, by: string, reason: string): Promise<JobProgress> {
    const job = this.open(id);
    await job.decide((state) =>
      state.request === null || state.isOver
        ? []
        : [{ kind: 'cancelled', atMs: this.#clock.nowMs(), by, reason }],
    );
    return job.state.progress();
  }

  /** Every job, the newest first. */
  async list(): Promise<readonly JobProgress[]> {
    const ids = new Set<string>();
    for (const name of await this.#stores.appends.list(root)) {
      const [, id, what] = name.split('/');
      if (id !== undefined && what === 'journal') ids.add(id);
    }
    const jobs: JobProgress[] = [];
    for (const id of ids) jobs.push((await this.open(id).catchUp()).progress());
    return jobs.sort((left, right) => right.createdAtMs - left.createdAtMs);
  }
}
