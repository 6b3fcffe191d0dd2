/**
 * Lets the emulator use the indexes that it keeps: `localstack/azurite.py` loads this file ahead of it.
 *
 * Azurite 3.35.0 keeps its blobs and blocks in LokiJS 1.5.12. Two things make every request the slower, the more
 * blobs there are:
 *
 * - Azurite asks for {accountName, containerName, name, snapshot}. Loki looks up the first of these in an index,
 *   which gives it all rows, and reads them one by one. Here the property that tells rows apart comes first.
 * - Loki rebuilds all indexes when Azurite deletes a blob. Here the few rows are taken out of the indexes.
 *
 * Nothing else changes: the same rows are found, left and stored, down to the order of the entries of an index.
 * It holds for this version of LokiJS alone; any other is left as it is.
 */
"use strict";

const LOKI_VERSION = "1.5.12";

/** The collections that grow with the blobs, and the indexed property of each to look for first. */
const SELECTIVE = { $BLOBS_COLLECTION$: "name", $BLOCKS_COLLECTION$: "blobName" };

/** From this share of the rows on, rebuilding the indexes is faster than moving the rows. */
const MANY = 1 / 32;

function useIndexes({ Resultset, Collection }) {
  const { find } = Resultset.prototype;
  const { adaptiveBinaryIndexInsert, removeBatchByPositions } = Collection.prototype;

  /** By collection, the ids of the rows that were indexed since its indexes were last in order. */
  const newcomers = new WeakMap();

  Resultset.prototype.find = function (query, firstOnly) {
    const property = SELECTIVE[this.collection.name];
    const selects = property !== undefined && typeof query?.[property] === "string";
    return find.call(this, selects ? { [property]: query[property], ...query } : query, firstOnly);
  };

  Collection.prototype.adaptiveBinaryIndexInsert = function (position, property) {
    newcomers.get(this)?.add(this.idIndex[position]);
    return adaptiveBinaryIndexInsert.call(this, position, property);
  };

  Collection.prototype.removeBatchByPositions = function (positions) {
    const ids = newcomers.get(this);
    if (ids === undefined || ids.size + positions.length > this.data.length * MANY) {
      if (this.name in SELECTIVE) newcomers.set(this, new Set());
      return removeBatchByPositions.call(this, positions); // which rebuilds
    }
    const moved = [...ids].map((id) => this.get(id, true)).filter((row) => row !== null);
    const properties = Object.keys(this.binaryIndices);
    properties.forEach((property) => putInOrder(this, property, moved.map(([, position]) => position)));
    ids.clear();
    for (const position of [...positions].sort((a, b) => b - a)) {
      properties.forEach((property) => this.adaptiveBinaryIndexRemove(position, property));
      this.data.splice(position, 1);
      this.idIndex.splice(position, 1);
    }
    this.dirty = true; // to be saved
  };

  /**
   * Move entries to where a rebuild would put them. It leaves equal values in the order of their rows, which shows
   * in listings of snapshots, while an insert puts the newest first. The other entries are in order.
   */
  function putInOrder(collection, property, positions) {
    positions.forEach((position) => collection.adaptiveBinaryIndexRemove(position, property, true));
    const { values } = collection.binaryIndices[property];
    for (const position of positions) {
      const value = collection.data[position][property];
      let low = collection.calculateRangeStart(property, value, true); // of the equal ones, or where it belongs
      let [, high] = collection.calculateRange("$eq", property, value); // -1 if there is none
      while (low <= high) {
        const middle = (low + high) >> 1;
        if (values[middle] < position) low = middle + 1;
        else high = middle - 1;
      }
      values.splice(low, 0, position);
    }
  }
}

function lokiVersion() {
  try {
    return require("lokijs/package.json").version;
  } catch {
    return "of no version";
  }
}

if (lokiVersion() === LOKI_VERSION) {
  useIndexes(require("lokijs"));
} else {
  const known = `The emulator may be slow: azurite_indexes.js knows LokiJS ${LOKI_VERSION}`;
  process.stderr.write(`${known} and leaves LokiJS ${lokiVersion()} as it is.\n`);
}
