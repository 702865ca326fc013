// The roots and blocks of CAR files as @ipld/car reads them, each block hashed, as JSON: blocks.mjs FILE…
import { createReadStream } from 'node:fs'
import { CarBlockIterator } from '@ipld/car'
import { equals } from 'multiformats/bytes'
import { sha256 } from 'multiformats/hashes/sha2'

const found = []
for (const path of process.argv.slice(2)) {
  const car = await CarBlockIterator.fromIterable(createReadStream(path))
  const roots = (await car.getRoots()).map(String)
  const blocks = []
  for await (const { cid, bytes } of car) {
    const digest = await sha256.digest(bytes)
    if (!equals(digest.bytes, cid.multihash.bytes)) throw new Error(`${path}: the bytes are not those of ${cid}`)
    blocks.push(cid.toString())
  }
  found.push({ roots, blocks })
}
console.log(JSON.stringify(found))
