import { Receiver, Sender } from 'rhea-promise';

let isGuarded = false;

/**
 * A request whose time is up asks its link for the address, to say so. After a disconnect the link
 * has none, and what is thrown then comes out of a timer, which ends the process (@azure/core-amqp
 * 4.4.2 over rhea-promise 3.0.3). Such a link answers with nothing.
 */
export function guardLinkAddresses(): void {
  if (isGuarded) return;
  isGuarded = true;
  Object.defineProperty(Receiver.prototype, 'address', {
    configurable: true,
    get(this: Receiver) {
      return (this.source as { readonly address?: string } | undefined)?.address;
    },
  });
  Object.defineProperty(Sender.prototype, 'address', {
    configurable: true,
    get(this: Sender) {
      return (this.target as { readonly address?: string } | undefined)?.address;
    },
  });
}
