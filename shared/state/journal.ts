/** The place of one value: of a key in a store, or of an entry of a key in a map store. */
export class Slot<Name extends string | number = string | number> {
  readonly name: Name;
  /** Undefined: deleted, or not written yet. */
  value: unknown = undefined;
  /** Encoded bytes, name and value, when it was last encoded. */
  bytes = 0;
  /** The epoch in which it was last noted in the journal; negative: and its value is not ours to change. */
  touched = 0;
  /** The snapshot that has it, or whose journal keeps what it was. */
  snapshot = 0;
  /** When it was last written, in buckets of its store's time to live. */
  bucket = 0;

  constructor(name: Name) {
    this.name = name;
  }
}

/** What the journal undoes. */
export interface JournalEntry {
  readonly owner: JournalOwner;
  undo(): void;
}

/** A store whose changes are journalled. */
export interface JournalOwner {
  undoSlot(entry: SlotEntry): void;
}

/** What a slot was before it was first touched since an undo point. */
export class SlotEntry implements JournalEntry {
  readonly owner: JournalOwner;
  /** Of the key. */
  readonly slot: Slot<string>;
  /** Of an entry of the key; null: it is the key's own slot that changed. */
  readonly cell: Slot | null;
  readonly value: unknown;
  readonly bytes: number;
  readonly touched: number;
  readonly bucket: number;

  constructor(owner: JournalOwner, slot: Slot<string>, cell: Slot | null) {
    const changed = cell ?? slot;
    this.owner = owner;
    this.slot = slot;
    this.cell = cell;
    this.value = changed.value;
    this.bytes = changed.bytes;
    this.touched = changed.touched;
    this.bucket = changed.bucket;
  }

  /** The slot was made after the undo point. */
  get isNew(): boolean {
    return this.value === undefined && this.touched === 0;
  }

  undo(): void {
    this.owner.undoSlot(this);
  }
}

/** Told of every slot before it changes. */
export interface JournalWatcher {
  beforeChange(entry: SlotEntry): void;
}

/**
 * What all stores of a task did since the last commit. Undoing costs what was touched. An epoch lies between
 * two undo points: within one, a slot is noted (and its value copied) once.
 */
export class Journal {
  readonly entries: JournalEntry[] = [];
  epoch = 1;
  watcher: JournalWatcher | null = null;

  note(owner: JournalOwner, slot: Slot<string>, cell: Slot | null): void {
    const entry = new SlotEntry(owner, slot, cell);
    this.watcher?.beforeChange(entry);
    this.entries.push(entry);
  }

  push(entry: JournalEntry): void {
    this.entries.push(entry);
  }

  isNoted(slot: Slot): boolean {
    return slot.touched === this.epoch || slot.touched === -this.epoch;
  }

  mark(): number {
    this.epoch += 1;
    return this.entries.length;
  }

  rollback(mark: number): void {
    while (this.entries.length > mark) this.entries.pop()?.undo();
    this.epoch += 1;
  }

  /** Forgets how to undo. */
  clear(): void {
    this.entries.length = 0;
    this.epoch += 1;
  }
}
