/** The management API's query parameters, read as HttpApiHandler of the Durable extension reads them. */
import { finalStatuses, type InstanceFilter } from './instance-store';
import { Refused } from './refusals';

const runtimeStatuses: readonly string[] = [
  ...['Pending', 'Running', 'Suspended', 'ContinuedAsNew'],
  ...finalStatuses,
];
/** Longer ones stand for nothing that could be there. */
const parameterCharactersMax = 1_024;
const pageSizeDefault = 100;
/** What a table gives in one answer. */
const pageSizeMax = 1_000;
/** The times that a table can hold. */
const timeMinMs = Date.parse('1601-01-01T00:00:00Z');
const timeMaxMs = Date.parse('9999-12-31T23:59:59.999Z');
const waitSecondsMax = 86_400;

/** Names in any case; of one that comes several times the values are joined by commas, as in .NET. */
export class ApiQuery {
  readonly #values = new Map<string, string[]>();

  constructor(query: URLSearchParams) {
    for (const [name, value] of query) {
      const key = name.toLowerCase();
      this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
    }
  }

  /** Null: it is not there. */
  text(name: string): string | null {
    const text = this.#values.get(name.toLowerCase())?.join(',') ?? null;
    if (text !== null && text.length > parameterCharactersMax) {
      throw new Refused(
        400,
        `${name}: has ${text.length} characters; at most ${parameterCharactersMax} are read`,
      );
    }
    return text;
  }

  /** Any length: it goes into the history, whose long texts are blobs. */
  freeText(name: string): string | null {
    return this.#values.get(name.toLowerCase())?.join(',') ?? null;
  }

  /** What is neither true nor false counts as not given, as in .NET. */
  flag(name: string, fallback: boolean): boolean {
    const text = this.text(name)?.trim().toLowerCase();
    return text === 'true' || (text !== 'false' && fallback);
  }

  pageSize(): number {
    const text = this.text('top');
    if (text === null) return pageSizeDefault;
    const size = /^\s*\+?\d+\s*$/.test(text) ? Number(text) : 0;
    if (size < 1) throw new Refused(400, `top: '${text}' is no whole number from 1`);
    return Math.min(pageSizeMax, size);
  }

  /** Undefined: it is not there. A time without a zone is UTC, whatever the machine's zone is. */
  time(name: string): Date | undefined {
    const text = this.text(name);
    if (text === null) return undefined;
    const atMs = Date.parse(isoOf(text) ?? '');
    if (Number.isNaN(atMs)) {
      throw new Refused(
        400,
        `${name}: '${text}' is no time of ISO 8601, as in 2024-05-31T12:00:00Z`,
      );
    }
    return new Date(Math.min(timeMaxMs, Math.max(timeMinMs, atMs)));
  }

  /** Undefined: it is not there. */
  seconds(name: string): number | undefined {
    const text = this.text(name);
    if (text === null) return undefined;
    const seconds = text.trim() === '' ? Number.NaN : Number(text);
    if (seconds >= 0 && seconds <= waitSecondsMax) return seconds;
    throw new Refused(
      400,
      `${name}: '${text}' is no number of seconds from 0 to ${waitSecondsMax}`,
    );
  }

  /** States from commas and from parameters that come several times. */
  runtimeStatus(): readonly string[] {
    return (this.text('runtimeStatus') ?? '')
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '')
      .map(statusNamed);
  }

  instances(): InstanceFilter {
    const from = this.time('createdTimeFrom');
    const to = this.time('createdTimeTo');
    const prefix = this.text('instanceIdPrefix');
    const runtimeStatus = this.runtimeStatus();
    return {
      ...(from && { createdTimeFrom: from }),
      ...(to && { createdTimeTo: to }),
      ...(runtimeStatus.length > 0 && { runtimeStatus }),
      ...(prefix && { instanceIdPrefix: prefix }),
    };
  }

  entities(): InstanceFilter {
    const from = this.time('lastOperationTimeFrom');
    const to = this.time('lastOperationTimeTo');
    return {
      ...(from && { lastUpdatedTimeFrom: from }),
      ...(to && { lastUpdatedTimeTo: to }),
    };
  }
}

/** Null: it is none. A `+` that was sent as it is comes as a blank. */
function isoOf(text: string): string | null {
  const match =
    /^\s*(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|(?:[+-]|(?<= ))\d{2}:?\d{2})?)?\s*$/i.exec(
      text,
    );
  if (match === null) return null;
  const [, date = '', time = '00:00', zone = 'Z'] = match;
  return `${date}T${time}${/^\d/.test(zone) ? `+${zone}` : zone.toUpperCase()}`;
}

/** A state in any case. The platform leaves out what is none: a mistyped state then finds everything. */
function statusNamed(text: string): string {
  const status = runtimeStatuses.find((one) => one.toLowerCase() === text.toLowerCase());
  if (status !== undefined) return status;
  throw new Refused(400, `runtimeStatus: '${text}' is none of ${runtimeStatuses.join(', ')}`);
}
