/** Ctrl-C, what a service manager sends, or nobody to speak to any more: asked for once, from the very start of a command. */
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
    process.stderr.removeListener('error', requestAtClosedPipe);
  };
  // `start 2>&1 | tee log`: Ctrl-C ends tee too, and what is said after that must not end the drain.
  const requestAtClosedPipe = ({ code }: NodeJS.ErrnoException): void => {
    if (code === 'EPIPE') request();
  };
  process.stderr.on('error', requestAtClosedPipe);
  process.on('SIGINT', request);
  process.on('SIGTERM', request);
  return { requested, isRequested: () => isRequested, release };
}
