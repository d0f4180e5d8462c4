import { netTime } from './hub-reading/net-values';

const timeInside = /"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const timeShape = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,7})?(Z|[+-]\d\d:\d\d)?$/;

/**
 * What a JSON text becomes when the host reads it with Json.NET and writes it for the worker: texts that
 * are times are written anew, without zeros at the end of the fraction, one with an offset as the same
 * moment in the zone of the host, which is UTC.
 */
export function parseAsJsonNet(text: string): unknown {
  if (!timeInside.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_name, value: unknown) =>
    typeof value === 'string' ? timeText(value) : value,
  );
}

function timeText(text: string): string {
  const [whole, seconds = '', fraction = '', zone = ''] = timeShape.exec(text) ?? [];
  if (whole === undefined || !isTime(seconds)) return text;
  const trimmed = fraction.replace(/\.?0+$/, '');
  if (zone === '' || zone === 'Z') return `${seconds}${trimmed}${zone}`;
  const moment = new Date(`${seconds}${zone}`);
  return Number.isNaN(moment.getTime()) ? text : `${netTime(moment)}${trimmed}+00:00`;
}

/** No 30 February and no hour 24, which Date would move to the next day. */
function isTime(seconds: string): boolean {
  const time = new Date(`${seconds}Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(seconds);
}
