import { decodeActions, encodeActions } from './actions';
import type { CheckpointCodec } from './checkpoint-codec';

/** Checkpoints of NDJSON tables: the actions themselves, one a line. */
export const manifestCheckpoint: CheckpointCodec = {
  extension: '.checkpoint.json',
  encode: encodeActions,
  async decode(name, bytes, want) {
    const actions = decodeActions(name, bytes);
    return want === 'all' ? actions : actions.filter(({ add, remove }) => !add && !remove);
  },
};
