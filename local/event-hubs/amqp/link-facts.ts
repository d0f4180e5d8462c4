import type * as rhea from 'rhea';
import { Refusal } from '../errors';
import { code } from './performatives';
import { describedList } from './rhea-mending';

type Link = rhea.Sender | rhea.Receiver;

/** Links to these are for requests, not for events; the node may stand below a hub. */
export function isControlAddress(address: string): boolean {
  return /(?:^|\/)\$(?:cbs|management)$/.test(address);
}

/** The node for requests that an address names, whatever stands before it. */
export function controlNode(address: string): string {
  return address.slice(address.lastIndexOf('/') + 1);
}

/** Where a client sends to. */
export function targetAddress(receiver: unknown): string {
  const address: unknown = (receiver as rhea.Receiver).target?.address;
  return typeof address === 'string' ? address : '';
}

/** Where a client receives from. */
export function sourceAddress(sender: rhea.Sender): string {
  const address: unknown = sender.source?.address;
  return typeof address === 'string' ? address : '';
}

/** The selector's text, whatever descriptor it comes under. */
export function filterOf(sender: rhea.Sender): string | undefined {
  const filter = (sender.source as { filter?: Record<string, unknown> } | undefined)?.filter;
  const selector = filter?.['apache.org:selector-filter:string'];
  if (selector === undefined || selector === null) return undefined;
  const value: unknown = (selector as { value?: unknown }).value ?? selector;
  if (typeof value === 'string') return value;
  throw new Refusal('com.microsoft:argument-error', 'The selector filter is not a string.');
}

/** A capability alone arrives as itself, several as an array. */
export function capabilitiesOf(link: Link): string[] {
  return [link.desired_capabilities].flat().map(String);
}

/** A whole number among a link's properties; null when it is not there. */
export function numberProperty(
  link: Link,
  name: string,
  max = Number.MAX_SAFE_INTEGER,
): number | null {
  const value: unknown = ((link.properties ?? {}) as Record<string, unknown>)[name];
  if (value === undefined || value === null) return null;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0 && number <= max) return number;
  throw new Refusal(
    'com.microsoft:argument-error',
    `The link property '${name}' must be a whole number from 0 to ${max}.`,
  );
}

/** The answer to the attach is not written yet: rhea gives no setter for its properties. */
export function answerAttach(link: Link, fields: Readonly<Record<string, unknown>>): void {
  Object.assign((link as unknown as { local: { attach: object } }).local.attach, fields);
}

/** What rhea makes of a terminus that came: its fields in order. */
interface RheaTerminus {
  readonly value: readonly unknown[];
}

/** Sender settle mode `mixed` and receiver settle mode `first`: what an attach means that names none. */
const mixed = 2;
const first = 0;

/** Answers an attach as it was asked: the same ends, settled in the same way. */
export function echoAttach(link: Link): void {
  answerAttach(link, {
    source: echoed(code.source, link.source),
    target: echoed(code.target, link.target),
    snd_settle_mode: link.snd_settle_mode ?? mixed,
    rcv_settle_mode: link.rcv_settle_mode ?? first,
    // Python's client merges what comes into its own, and trips over none (pyamqp of azure-eventhub 5.11).
    properties: {},
    // A name that comes again is the same link for rhea.
    ...(link.is_sender() && { initial_delivery_count: countOf(link) }),
  });
}

const countOf = (link: Link): number =>
  (link as unknown as { delivery_count: number }).delivery_count;

/** Answers an attach with no: the end that would be ours is not there (AMQP 1.0 part 2 §2.6.3). */
export function refuseAttach(link: Link): void {
  answerAttach(link, link.is_receiver() ? { target: null } : { source: null });
}

/** A terminus of its own: what rhea decoded may be shared. */
function echoed(descriptor: number, terminus: unknown): unknown {
  if (terminus === undefined || terminus === null) return null;
  return describedList(descriptor, [...(terminus as RheaTerminus).value]);
}
