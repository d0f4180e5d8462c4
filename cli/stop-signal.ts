/** Ctrl-C, or what a service manager sends: asked for once, from the very start of a command. */
export interface StopSignal {
  readonly requested: Promise<void>;
  readonly isRequested: () => boolean;
  /** Gives the signals back to Node. */
  readonly release: () => void;
}

/** The first signal asks to stop in good order; a second one ends the process at once, as usual. */
export function stopSignal(): StopSignal {
  let isRequested = false;
  let request = (): void => undefined;
  const requested = new Promise<void>((resolve) => {
    request = () => {
      isRequested = true;
      release();
      resolve();
    };
  });
  const release = (): void => {
    process.removeListener('SIGINT', request);
    process.removeListener('SIGTERM', request);
  };
  process.on('SIGINT', request);
  process.on('SIGTERM', request);
  return { requested, isRequested: () => isRequested, release };
}
