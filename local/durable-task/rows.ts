/** History events as table rows with the columns of the Azure Storage provider, and back. */
import { EventType, eventTypeName, type EventTypeName, type HistoryEvent } from './history-event';

export type Columns = Record<string, string | number | boolean | Date>;

/** Columns that hold JSON of an object. */
const objectColumns = ['OrchestrationInstance', 'ParentInstance', 'FailureDetails'];
const timeColumns = ['FireAt', '_Timestamp'];
/** Properties that a reader expects even when they are null, as tables keep no nulls. */
const nullable: Partial<Record<EventTypeName, readonly string[]>> = {
  ExecutionStarted: ['Version', 'Input', 'ParentInstance'],
  ExecutionCompleted: ['Result'],
  TaskScheduled: ['Version'],
  TaskCompleted: ['Result'],
  SubOrchestrationInstanceCreated: ['Version', 'Input'],
  SubOrchestrationInstanceCompleted: ['Result'],
  EventRaised: ['Input'],
};

export function columnsOf(event: HistoryEvent): Columns {
  const columns: Columns = { EventType: eventTypeName(event) };
  for (const [name, value] of Object.entries(event) as [string, unknown][]) {
    if (value === null || value === undefined || name === 'EventType') continue;
    const column = name === 'Timestamp' ? '_Timestamp' : name;
    if (objectColumns.includes(column)) columns[column] = JSON.stringify(value);
    else if (timeColumns.includes(column)) columns[column] = new Date(value as string);
    else columns[column] = value as string | number | boolean;
  }
  return columns;
}

const notOfEvents = ['etag', 'timestamp', 'partitionKey', 'rowKey', 'ExecutionId'];

export function eventOf(row: Readonly<Record<string, unknown>>): HistoryEvent {
  const name = row['EventType'] as EventTypeName;
  const event: Record<string, unknown> = {
    EventType: EventType[name],
    EventId: -1,
    IsPlayed: false,
    ...Object.fromEntries((nullable[name] ?? []).map((property) => [property, null])),
  };
  for (const [column, value] of Object.entries(row)) {
    if (column === 'EventType' || notOfEvents.includes(column) || column.startsWith('odata'))
      continue;
    const property = column === '_Timestamp' ? 'Timestamp' : column;
    if (objectColumns.includes(column)) event[property] = JSON.parse(value as string);
    else if (value instanceof Date) event[property] = value.toISOString();
    else event[property] = value;
  }
  return event as unknown as HistoryEvent;
}

/** Rows sort by number: sixteen hex digits. */
export function rowKeyOf(index: number): string {
  return index.toString(16).toUpperCase().padStart(16, '0');
}
