import { parseArgs } from 'node:util';
import { InvalidConfig } from './config';

const promoteHelp = `Loses the last events of partitions, as the forced promotion of a replica does.

  --lose N               events of each partition that are gone (0: only the connections are)
  --hub NAME             of this hub alone (default: all)
  --partition N          of this partition alone (default: all)
  --control-port N       of the emulator that runs (5300)
  --json                 the answer as one JSON line
  --help`;

const options = {
  lose: { type: 'string' },
  hub: { type: 'string' },
  partition: { type: 'string' },
  'control-port': { type: 'string', default: '5300' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

interface Loss {
  readonly hub: string;
  readonly partition: string;
  readonly lost: number;
}

/** `millrace emulator promote`: switches the fault on in an emulator that runs on this machine. */
export async function runPromote(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) {
    console.log(promoteHelp);
    return;
  }
  if (values.lose === undefined) throw new InvalidConfig(['--lose: how many events are gone?']);
  const port = wholeNumber('control-port', values['control-port']);
  const body = {
    kind: 'promote',
    lose: wholeNumber('lose', values.lose),
    ...(values.hub !== undefined && { hub: values.hub }),
    ...(values.partition !== undefined && {
      partition: wholeNumber('partition', values.partition),
    }),
  };
  const answer = await post(`http://127.0.0.1:${port}/faults`, body);
  const { error, partitions = [] } = answer;
  if (error !== undefined) throw new Error(error);
  if (values.json) console.log(JSON.stringify({ partitions }));
  else console.log(partitions.map(lossText).join('\n'));
}

const lossText = ({ hub, lost, partition }: Loss): string =>
  `${hub}/${partition}: ${lost} ${lost === 1 ? 'event' : 'events'} lost`;

async function post(
  url: string,
  body: object,
): Promise<{ readonly error?: string; readonly partitions?: readonly Loss[] }> {
  let response: Response;
  try {
    response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  } catch (cause) {
    throw new Error(`no emulator answers on ${url}: name its control port with --control-port`, {
      cause,
    });
  }
  return (await response.json()) as Awaited<ReturnType<typeof post>>;
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidConfig([`--${name}: must be a whole number, not ${JSON.stringify(text)}`]);
}
