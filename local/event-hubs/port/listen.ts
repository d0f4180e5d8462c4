import type { Server } from 'node:net';

/** A port that cannot be had. */
class PortUnavailable extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Listens and gives the port; an error says which option names another one. */
export async function listen(
  server: Server,
  options: {
    readonly host: string;
    readonly port: number;
    /** Of the command line. */
    readonly option: string;
    readonly log: (line: string) => void;
  },
): Promise<number> {
  const { host, log, option, port } = options;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const reason =
        error.code === 'EADDRINUSE'
          ? `port ${port} is taken by another program`
          : `port ${port} of ${host} cannot be had (${error.code ?? error.message})`;
      reject(new PortUnavailable(error.code ?? '', `${reason}: choose another with ${option}`));
    };
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      server.on('error', (error) => log(`port ${port}: ${error.message}`));
      resolve();
    });
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
