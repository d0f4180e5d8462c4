import { hubName } from './names';
import { hostContainer } from './storage';

/** The host's own checkpoints of one function, as its extension lays them out in blobs. */
export async function checkpoints(functionName: string): Promise<unknown[]> {
  const found: unknown[] = [];
  const container = hostContainer('azure-webjobs-eventhub');
  const layout = new RegExp(`^[^/]+/${hubName}/${functionName}/checkpoint/(\\d+)$`);
  for await (const { metadata, name } of container.listBlobsFlat({ includeMetadata: true })) {
    const partition = layout.exec(name)?.[1];
    if (partition !== undefined) found.push({ partition, metadata });
  }
  return found;
}
