import { openSync, readSync, fstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parquetReadObjects, type AsyncBuffer } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

/** A flight as an event: what the topology `flights` reads. */
export interface FlightEvent {
  readonly id: number;
  readonly time: number;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** The three million flights of the package vega-datasets (data: US Bureau of Transportation Statistics). */
export function flightsFile(): string {
  const entry = require.resolve('vega-datasets');
  return join(dirname(entry), '../data/flights-3m.parquet');
}

/** Reads rows [start, end) as events; a flight's id is its row number. */
export async function readFlights(start: number, end: number): Promise<FlightEvent[]> {
  const rows = await parquetReadObjects({
    file: openFile(flightsFile()),
    rowStart: start,
    rowEnd: end,
    compressors,
  });
  return rows.map((row, index) => ({
    id: start + index,
    time: (row['date'] as Date).getTime(),
    delay: Number(row['delay']),
    distance: Number(row['distance']),
    origin: String(row['origin']),
    destination: String(row['destination']),
  }));
}

function openFile(path: string): AsyncBuffer {
  const file = openSync(path, 'r');
  const byteLength = fstatSync(file).size;
  return {
    byteLength,
    slice: (start, end = byteLength) => {
      const bytes = Buffer.alloc(end - start);
      readSync(file, bytes, 0, bytes.length, start);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    },
  };
}
