import { defaultOptions, Upload } from 'tus-js-client';

/** An upload that this browser began and may go on with. */
export type Unfinished = Awaited<ReturnType<Upload['findPreviousUploads']>>[number];

/** Uploads that this browser began and never finished, newest first. */
export async function unfinished(): Promise<Unfinished[]> {
  const all = await defaultOptions.urlStorage.findAllUploads().catch(() => []);
  return all.sort((a, b) => Date.parse(b.creationTime) - Date.parse(a.creationTime));
}

/** Forgets one of them, here and on the server; what the server can't be told now expires there. */
export async function forget(upload: Unfinished): Promise<void> {
  if (upload.uploadUrl) await Upload.terminate(upload.uploadUrl).catch(() => undefined);
  await defaultOptions.urlStorage.removeUpload(upload.urlStorageKey);
}
