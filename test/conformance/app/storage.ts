import { DefaultAzureCredential } from '@azure/identity';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';

/** A container of the account that the host itself uses, by the setting every host has. */
export function hostContainer(name: string): ContainerClient {
  return service().getContainerClient(name);
}

function service(): BlobServiceClient {
  const { AzureWebJobsStorage, AzureWebJobsStorage__accountName: account } = process.env;
  if (AzureWebJobsStorage) return BlobServiceClient.fromConnectionString(AzureWebJobsStorage);
  const uri =
    process.env['AzureWebJobsStorage__blobServiceUri'] ??
    (account && `https://${account}.blob.core.windows.net`);
  if (!uri) {
    throw new Error(
      'the host storage is not known: set AzureWebJobsStorage, AzureWebJobsStorage__accountName or AzureWebJobsStorage__blobServiceUri',
    );
  }
  return new BlobServiceClient(uri, new DefaultAzureCredential());
}
