// A CAR with the same roots and the same blocks in the opposite order, by @ipld/car: rewrite.mjs FROM TO
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { CarReader, CarWriter } from '@ipld/car'

const [from, to] = process.argv.slice(2)
const reader = await CarReader.fromIterable(createReadStream(from))
const { writer, out } = CarWriter.create(await reader.getRoots())
const written = finished(Readable.from(out).pipe(createWriteStream(to)))
const blocks = []
for await (const block of reader.blocks()) blocks.unshift(block)
for (const block of blocks) await writer.put(block)
await writer.close()
await written
