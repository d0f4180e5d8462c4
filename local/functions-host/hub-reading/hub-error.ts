/** Conditions that pass: the link or the connection is made anew and reading goes on. */
const passing = new Set([
  'amqp:internal-error',
  'amqp:connection:forced',
  'amqp:link:detach-forced',
  'amqp:link:transfer-limit-exceeded',
  'amqp:resource-limit-exceeded',
  'amqp:unauthorized-access',
  'com.microsoft:operation-cancelled',
  'com.microsoft:server-busy',
  'com.microsoft:timeout',
]);

/** The network, or a peer that does not answer. */
const connectionLost = 'connection-lost';

/** Why a link or a connection to the hub ended. */
export class HubError extends Error {
  /** The AMQP condition, or `connection-lost`. */
  readonly condition: string;

  constructor(condition: string, message: string) {
    super(`${message} (${condition})`);
    this.name = 'HubError';
    this.condition = condition;
  }

  static connectionLost(message: string): HubError {
    return new HubError(connectionLost, message);
  }

  get isPassing(): boolean {
    return this.condition === connectionLost || passing.has(this.condition);
  }

  /** Another reader took the partition with the same or a higher owner level. */
  get isStolen(): boolean {
    return this.condition === 'amqp:link:stolen';
  }
}
