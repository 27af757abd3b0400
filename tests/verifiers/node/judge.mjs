// Judges a log by @sigstore/verify and canonicalize, which share no code with the program that wrote it.
//
//     node judge.mjs NODE_MODULES VKEY FOLDER < cases > verdicts
//
// A case is a line of JSON, a verdict one of "accepted" or "refused: why". FOLDER is an export in the C2SP tlog-tiles layout.

import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, vkey, folder] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), "judge.js"));
const { verifyCheckpoint } = require(path.resolve(modules, "@sigstore/verify/dist/tlog/checkpoint.js"));
const { verifyMerkleInclusion } = require(path.resolve(modules, "@sigstore/verify/dist/tlog/merkle.js"));
const { default: canonicalize } = await import(
  pathToFileURL(path.resolve(modules, "canonicalize/lib/canonicalize.js")).href
);

const TILE_WIDTH = 256;
const HASH_BYTES = 32;

const bytes = (text) => Buffer.from(text, "base64");

function authority() {
  const [name, id, key] = vkey.split("+");
  const raw = bytes(key).subarray(1);
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  return {
    baseURL: name,
    logID: Buffer.concat([Buffer.from(id, "hex"), Buffer.alloc(28)]),
    publicKey: createPublicKey({ key: der, format: "der", type: "spki" }),
  };
}

const AUTHORITIES = [authority()];

function open(note) {
  // As a bundle holds it: text. What is not UTF-8 comes out as other text than was signed.
  return verifyCheckpoint({ inclusionProof: { checkpoint: { envelope: note.toString("utf8") } } }, AUTHORITIES);
}

function included(leaf, index, hashes, checkpoint) {
  verifyMerkleInclusion({ canonicalizedBody: leaf, inclusionProof: { logIndex: String(index), hashes } }, checkpoint);
}

function canonical(leaf) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(leaf);
  if (!Buffer.from(canonicalize(JSON.parse(text)), "utf8").equals(leaf)) throw new Error("not its canonical form");
}

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

function read(level, index, width) {
  const name = String(index).padStart(3, "0") + (width === TILE_WIDTH ? "" : `.p/${width}`);
  return readFileSync(path.join(folder, "tile", level, name));
}

function* tiles(size) {
  for (let first = 0; first < size; first += TILE_WIDTH) {
    yield [first / TILE_WIDTH, Math.min(TILE_WIDTH, size - first)];
  }
}

// Every entry, with the path to it that the tiles at level 0 give; and its bytes in canonical form.
function wholeLog(note) {
  const checkpoint = open(note);
  const size = Number(checkpoint.logSize);
  const leaves = [];
  const rows = [[]];
  for (const [index, width] of tiles(size)) {
    const hashes = read("0", index, width);
    for (let at = 0; at < hashes.length; at += HASH_BYTES) rows[0].push(hashes.subarray(at, at + HASH_BYTES));
    const bundle = read("entries", index, width);
    for (let at = 0; at < bundle.length; ) {
      const end = at + 2 + bundle.readUInt16BE(at);
      leaves.push(bundle.subarray(at + 2, end));
      at = end;
    }
  }
  while (rows.at(-1).length > 1) {
    const below = rows.at(-1);
    const above = [];
    for (let at = 0; at + 1 < below.length; at += 2) above.push(sha256(Buffer.of(1), below[at], below[at + 1]));
    if (below.length % 2) above.push(below.at(-1));
    rows.push(above);
  }
  if (leaves.length !== size || rows[0].length !== size) throw new Error("entries are missing");
  for (let index = 0; index < size; index++) {
    const hashes = [];
    for (let height = 0; height + 1 < rows.length; height++) {
      const sibling = rows[height][(index >> height) ^ 1];
      if (sibling) hashes.push(sibling);
    }
    included(leaves[index], index, hashes, checkpoint);
    canonical(leaves[index]);
  }
}

// A tlog-proof: its extra line has the entry in shorthand, where a byte below 32 stands for a word, and 1 for 32 bytes in hex.
function receipt(data, words) {
  const end = data.indexOf("\n\n");
  const lines = data.subarray(0, Math.max(end, 0)).toString("latin1").split("\n");
  const index = /^index (0|[1-9][0-9]*)$/.exec(lines[2] ?? "");
  if (lines[0] !== "c2sp.org/tlog-proof@v1" || !lines[1]?.startsWith("extra ") || !index) throw new Error("no receipt");
  const hashes = lines.slice(3).map(strict);
  included(lengthen(strict(lines[1].slice("extra ".length)), words), index[1], hashes, open(data.subarray(end + 2)));
}

function lengthen(short, words) {
  const parts = [];
  for (let at = 0; at < short.length; at++) {
    const code = short[at];
    if (code === 1) {
      parts.push(Buffer.from(short.subarray(at + 1, at + 33).toString("hex")));
      at += 32;
    } else if (code >= 32) parts.push(Buffer.of(code));
    else if (words[code - 2]) parts.push(words[code - 2]);
    else throw new Error(`no word has the code ${code}`);
  }
  return Buffer.concat(parts);
}

function strict(text) {
  const data = bytes(text);
  if (data.toString("base64") !== text) throw new Error("not base64 in its one spelling");
  return data;
}

function flipped(data, bit) {
  if (bit === undefined) return data;
  const changed = Buffer.from(data);
  changed[bit >> 3] ^= 1 << (bit & 7);
  return changed;
}

function judge(asked) {
  switch (asked.kind) {
    case "log":
      return wholeLog(bytes(asked.note));
    case "note":
      return void open(flipped(bytes(asked.note), asked.bit));
    case "record": {
      const checkpoint = { logSize: BigInt(asked.size), logHash: bytes(asked.root) };
      return included(bytes(asked.leaf), asked.index, asked.path.map(bytes), checkpoint);
    }
    case "receipt":
      return receipt(flipped(bytes(asked.receipt), asked.bit), asked.words.map(bytes));
    case "canonical":
      return canonical(bytes(asked.leaf));
    default:
      throw new TypeError(`no case is of the kind ${asked.kind}`);
  }
}

const verdicts = [];
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    judge(asked);
    verdicts.push("accepted");
  } catch (error) {
    // A fault of this program is no verdict.
    if (error instanceof ReferenceError || (error instanceof TypeError && error.code === undefined)) throw error;
    verdicts.push(`refused: ${JSON.stringify(error.message)}`);
  }
}
process.stdout.write(verdicts.map((verdict) => `${verdict}\n`).join(""));
