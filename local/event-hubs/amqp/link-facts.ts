import type * as rhea from 'rhea';
import { Refusal } from '../errors';

type Link = rhea.Sender | rhea.Receiver;

/** Links to these are for requests, not for events. */
export function isControlAddress(address: string): boolean {
  return address.endsWith('$cbs') || address.endsWith('$management');
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
