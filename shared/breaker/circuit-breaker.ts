import { StreamError } from '../model/errors';
import type { AppendStore, Clock, Telemetry } from '../model/ports';
import { LineJournal } from '../commit-log/line-journal';

/** What workers tell each other of a sink: transitions only, so the blob stays small. */
type BreakerLine =
  | {
      readonly kind: 'opened';
      readonly atMs: number;
      readonly worker: string;
      readonly untilMs: number;
      readonly error: string;
    }
  | {
      readonly kind: 'probing';
      readonly atMs: number;
      readonly worker: string;
      readonly untilMs: number;
    }
  | { readonly kind: 'closed'; readonly atMs: number; readonly worker: string };

export interface BreakerState {
  readonly phase: 'closed' | 'open' | 'half-open';
  readonly sinceMs: number;
  /** Open: when a probe may be made. Half-open: when the probe is given up. */
  readonly untilMs: number;
  /** Who opened it, or probes. */
  readonly worker: string;
  /** Times it was opened in a row. */
  readonly openings: number;
  readonly error: string;
}

const closed: BreakerState = {
  phase: 'closed',
  sinceMs: 0,
  untilMs: 0,
  worker: '',
  openings: 0,
  error: '',
};

const folder = 'breakers/';
const appendTriesMax = 10;

export interface BreakerLimits {
  /** Failures in a row, of one worker, that open it for all. */
  readonly failuresMax: number;
  /** How long it stays open: doubled each time a probe fails, from first to last. */
  readonly firstOpenMs: number;
  readonly lastOpenMs: number;
  /** A probe that has not ended by then is given up, and another may be made. */
  readonly probeMs: number;
  /** How old what this worker knows of the others may be. */
  readonly refreshMs: number;
}

const defaultBreakerLimits: BreakerLimits = {
  failuresMax: 5,
  firstOpenMs: 5_000,
  lastOpenMs: 120_000,
  probeMs: 30_000,
  refreshMs: 5_000,
};

function applyBreakerLine(state: BreakerState, line: BreakerLine): BreakerState {
  const { atMs: sinceMs, worker } = line;
  switch (line.kind) {
    case 'opened': {
      const { error, untilMs } = line;
      return { phase: 'open', sinceMs, untilMs, worker, error, openings: state.openings + 1 };
    }
    case 'probing':
      return { ...state, phase: 'half-open', sinceMs, untilMs: line.untilMs, worker };
    case 'closed':
      return { ...closed, sinceMs, worker };
    default:
      return line satisfies never;
  }
}

/**
 * A circuit breaker that all workers share. While a sink keeps failing nobody calls it: what wants
 * to is refused at once with STREAM_SINK_OPEN and tried again later by whoever asked, so a partition
 * pauses and skips nothing. When its time is over one worker, whose append comes first, makes a probe;
 * if that succeeds all go on.
 *
 * Delivery: changes nothing in what is delivered; calls are fewer, never more.
 */
export class CircuitBreaker {
  readonly name: string;
  readonly #journal: LineJournal<BreakerLine>;
  readonly #world: BreakerWorld;
  readonly #limits: BreakerLimits;
  #state: BreakerState = closed;
  #failures = 0;
  #refreshedAtMs = -Infinity;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(world: BreakerWorld, name: string, limits: BreakerLimits = defaultBreakerLimits) {
    this.name = name;
    this.#world = world;
    this.#limits = limits;
    this.#journal = new LineJournal(world.appends, folder + encodeURIComponent(name));
  }

  /** @throws StreamError STREAM_SINK_OPEN when the sink is not to be called now, or what `work` throws */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#exclusively(() => this.#enter());
    let result: Result;
    try {
      result = await work();
    } catch (error) {
      if (isOfTheSink(error)) await this.#exclusively(() => this.#failed(error));
      throw error;
    }
    this.#failures = 0;
    if (this.#state.phase !== 'closed') await this.#exclusively(() => this.#succeeded());
    return result;
  }

  async #enter(): Promise<void> {
    const { clock, worker } = this.#world;
    const isOld = clock.nowMs() - this.#refreshedAtMs >= this.#limits.refreshMs;
    if (isOld || this.#state.phase !== 'closed') await this.#refresh();
    if (this.#state.phase === 'closed') return;
    if (clock.nowMs() < this.#state.untilMs) throw this.#refused();
    const { probeMs } = this.#limits;
    await this.#decide((state, atMs) =>
      state.phase !== 'closed' && atMs >= state.untilMs
        ? { kind: 'probing', atMs, worker, untilMs: atMs + probeMs }
        : null,
    );
    if (!this.#mayCall()) throw this.#refused();
  }

  #mayCall(): boolean {
    const { phase, worker } = this.#state;
    return phase === 'closed' || (phase === 'half-open' && worker === this.#world.worker);
  }

  async #failed(error: StreamError): Promise<void> {
    const { clock, telemetry, worker } = this.#world;
    const { failuresMax, firstOpenMs, lastOpenMs } = this.#limits;
    this.#failures += 1;
    const isProbe = this.#state.phase === 'half-open' && this.#state.worker === worker;
    if (!isProbe && this.#failures < failuresMax) return;
    await this.#decide((state, atMs) => {
      if (state.phase === 'open' && atMs < state.untilMs) return null;
      const openMs = Math.min(lastOpenMs, firstOpenMs * 2 ** Math.min(state.openings, 20));
      const text = error.message.slice(0, 300);
      return { kind: 'opened', atMs, worker, untilMs: atMs + openMs, error: text };
    });
    this.#failures = 0;
    const waitMs = this.#state.untilMs - clock.nowMs();
    telemetry.emit('error', 'sink.opened', { sink: this.name, waitMs, error: error.message });
  }

  async #succeeded(): Promise<void> {
    const { telemetry, worker } = this.#world;
    await this.#decide((state, atMs) =>
      state.phase === 'closed' ? null : { kind: 'closed', atMs, worker },
    );
    telemetry.emit('info', 'sink.closed', { sink: this.name });
  }

  async #refresh(): Promise<void> {
    await this.#unlessUnavailable(async () => {
      for (const line of await this.#journal.catchUp()) {
        this.#state = applyBreakerLine(this.#state, line);
      }
      this.#refreshedAtMs = this.#world.clock.nowMs();
    });
  }

  async #decide(decide: (state: BreakerState, atMs: number) => BreakerLine | null): Promise<void> {
    await this.#unlessUnavailable(async () => {
      for (let tries = 1; tries <= appendTriesMax; tries += 1) {
        await this.#refresh();
        const line = decide(this.#state, this.#world.clock.nowMs());
        if (line === null) return;
        if ((await this.#journal.append([line])) === 'conflict') continue;
        this.#state = applyBreakerLine(this.#state, line);
        return;
      }
    });
  }

  /** Where the others cannot be told, this worker goes by what it knows: the sink decides anyway. */
  async #unlessUnavailable(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StreamError) || error.code !== 'STREAM_STORE_UNAVAILABLE') throw error;
      const fields = { sink: this.name, error: error.message };
      this.#world.telemetry.emit('warn', 'sink.breaker-unknown', fields);
    }
  }

  #refused(): StreamError {
    const { error, phase, untilMs, worker } = this.#state;
    const waitMs = Math.max(0, untilMs - this.#world.clock.nowMs());
    return new StreamError(
      'STREAM_SINK_OPEN',
      `${this.name} keeps failing (${error}): it is ${phase} by ${worker} and tried again in ${waitMs} ms`,
      { details: { sink: this.name, phase, waitMs } },
    );
  }

  #exclusively(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

export interface BreakerWorld {
  readonly appends: AppendStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly worker: string;
}

/** Failures that another call may not meet; what an event or a schema did is not the sink's fault. */
function isOfTheSink(error: unknown): error is StreamError {
  return (
    error instanceof StreamError &&
    (error.code === 'STREAM_STORE_UNAVAILABLE' || error.code === 'STREAM_HUB_UNAVAILABLE')
  );
}

/** Every breaker that was ever opened, with its present state. */
export async function readBreakers(
  appends: AppendStore,
): Promise<readonly (BreakerState & { readonly name: string })[]> {
  const found: (BreakerState & { name: string })[] = [];
  for (const name of await appends.list(folder)) {
    const lines = await new LineJournal<BreakerLine>(appends, name).catchUp();
    const state = lines.reduce(applyBreakerLine, closed);
    found.push({ name: decodeURIComponent(name.slice(folder.length)), ...state });
  }
  return found;
}
