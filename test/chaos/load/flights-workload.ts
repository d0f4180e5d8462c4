/** The flights of the demo: real ones, in the order of the file; DuckDB over the same file is the oracle. */
import { compareFlights, openDuckDb } from '../../../cli/oracle/flights-oracle';
import { flightsFile, readFlights, type FlightEvent } from '../../../cli/replay/flights-file';
import type { Workload } from './workload';

const chunkRows = 100;
const rowsPerRead = 20_000;
const flightsMax = 3_000_000;

/** @param untrueBy events that the oracle is told of beyond those that were sent */
export function flightsWorkload(partitionCount: number, untrueBy: number): Workload {
  const stretches = new Map<number, Promise<FlightEvent[]>>();

  /** Partitions are near each other: the last few stretches of the file are enough. */
  function stretch(first: number): Promise<FlightEvent[]> {
    let rows = stretches.get(first);
    if (rows === undefined) {
      rows = readFlights(first, Math.min(flightsMax, first + rowsPerRead));
      stretches.set(first, rows);
      const [oldest] = stretches.keys();
      if (stretches.size > 6 && oldest !== undefined) stretches.delete(oldest);
    }
    return rows;
  }

  return {
    topology: 'flights',
    hub: 'flights',
    source: {
      chunk: async (partition, chunk) => {
        const start = (chunk * partitionCount + partition) * chunkRows;
        if (start >= flightsMax) return null;
        const first = Math.floor(start / rowsPerRead) * rowsPerRead;
        const rows = (await stretch(first)).slice(start - first, start - first + chunkRows);
        return rows.map((row) => Buffer.from(JSON.stringify(row)));
      },
    },
    compare: ({ lake, load, workDirectory }) =>
      compareFlights({ lake, workDirectory, events: load.sent + untrueBy }),
    ends: async ({ load }) => {
      const read = load.sent + untrueBy;
      const query = await openDuckDb();
      const [row] = await query(
        `SELECT count(*)::INT AS n FROM read_parquet('${flightsFile()}', file_row_number = true)
         WHERE file_row_number < ${read} AND delay < -180`,
      );
      const filtered = Number(row?.['n']);
      return { read, filtered, emitted: read - filtered, deadLettered: 0, late: 0 };
    },
  };
}
