import type { TokenCredential } from '@azure/identity';
import {
  BlobServiceClient,
  type ContainerClient,
  type StoragePipelineOptions,
} from '@azure/storage-blob';
import { codeOf, isTransient, storeUnavailable } from './blob-failure';

/** How long and how often one operation is tried before it is given up as unknown. */
export interface BlobTryLimits {
  readonly triesMax: number;
  /** Pause after the first try; doubled after each until the last. */
  readonly firstPauseMs: number;
  readonly lastPauseMs: number;
  /** A try without an answer for so long is dropped. The SDK itself has no such limit. */
  readonly tryTimeoutMs: number;
}

const defaultBlobTryLimits: BlobTryLimits = {
  triesMax: 4,
  firstPauseMs: 100,
  lastPauseMs: 2_000,
  tryTimeoutMs: 10_000,
};

/** The slowest transfer that is not taken for a hanging one. */
const slowestBytesPerMs = 1024;

/** Where the account is, and who we are to it. */
export type BlobAccount =
  | { readonly connectionString: string }
  | {
      readonly blobServiceUri: string;
      /** Default: the managed identity, or who is logged in on a laptop. */
      readonly credential?: TokenCredential;
    };

export interface BlobOperation {
  readonly operation: string;
  readonly blob: string;
  /** What is to be carried, at most: a try may take longer for it. */
  readonly bytes?: number;
}

/** The container's client with its way of trying. Nothing connects before the first operation. */
export class BlobContainer {
  readonly client: ContainerClient;
  readonly #limits: BlobTryLimits;

  constructor(client: ContainerClient, limits: BlobTryLimits) {
    this.client = client;
    this.#limits = limits;
  }

  /**
   * Runs one operation until it gives a result. `work` turns the answers it expects into results; it
   * must be such that it may be repeated. A missing container is made when a write finds it missing.
   * @throws StreamError STREAM_STORE_UNAVAILABLE
   */
  async run<Result>(
    request: BlobOperation,
    work: (abortSignal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { firstPauseMs, lastPauseMs, triesMax } = this.#limits;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#tryOnce(request, work);
      } catch (error) {
        const isContainerMissing = codeOf(error) === 'ContainerNotFound';
        const mayRetry = isContainerMissing || isTransient(error);
        if (!mayRetry || tries >= triesMax) throw storeUnavailable({ ...request, tries }, error);
        if (isContainerMissing) await this.#create(request, tries);
        else await pause(Math.min(lastPauseMs, firstPauseMs * 2 ** (tries - 1)));
      }
    }
  }

  async #create(request: BlobOperation, tries: number): Promise<void> {
    try {
      await this.#tryOnce({ ...request, bytes: 0 }, (abortSignal) =>
        this.client.createIfNotExists({ abortSignal }),
      );
    } catch (error) {
      if (!isTransient(error)) throw storeUnavailable({ ...request, tries }, error);
      await pause(this.#limits.firstPauseMs);
    }
  }

  async #tryOnce<Result>(
    { bytes = 0 }: BlobOperation,
    work: (abortSignal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const tryTimeoutMs = this.#limits.tryTimeoutMs + Math.ceil(bytes / slowestBytesPerMs);
    const controller = new AbortController();
    const timer = setTimeout(
      () => controller.abort(new Error(`no answer within ${tryTimeoutMs} ms`)),
      tryTimeoutMs,
    );
    try {
      return await work(controller.signal);
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Makes the client of one container; does not connect. */
export function connectContainer(
  options: BlobAccount & { readonly container: string; readonly limits?: Partial<BlobTryLimits> },
): BlobContainer {
  const limits = { ...defaultBlobTryLimits, ...options.limits };
  return new BlobContainer(serviceClient(options).getContainerClient(options.container), limits);
}

function serviceClient(account: BlobAccount): BlobServiceClient {
  // We try again ourselves: the SDK's retries know no time-out on this side of the wire.
  const options: StoragePipelineOptions = {
    retryOptions: { maxTries: 1 },
    keepAliveOptions: { enable: true },
  };
  if ('connectionString' in account) {
    return BlobServiceClient.fromConnectionString(account.connectionString, options);
  }
  return new BlobServiceClient(
    account.blobServiceUri,
    account.credential ?? defaultCredential(),
    options,
  );
}

/** Loaded only where it is needed: it costs a quarter of a second of every cold start. */
function defaultCredential(): TokenCredential {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- lazily, see above
  const { DefaultAzureCredential } = require('@azure/identity') as {
    DefaultAzureCredential: new () => TokenCredential;
  };
  return new DefaultAzureCredential();
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
