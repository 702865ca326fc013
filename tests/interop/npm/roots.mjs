// The root that ipfs-unixfs-importer gives to each entry of a folder, as JSON: roots.mjs PROFILE FOLDER NAME…
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { importer } from 'ipfs-unixfs-importer'

const [profile, folder, ...names] = process.argv.slice(2)
const nowhere = { put: (cid) => cid }

async function * entries (path, name) {
  if ((await stat(path)).isFile()) {
    yield { path: name, content: createReadStream(path) }
    return
  }
  yield { path: name }
  for (const child of (await readdir(path)).sort()) {
    yield * entries(join(path, child), `${name}/${child}`)
  }
}

const roots = {}
for (const name of names) {
  for await (const entry of importer(entries(join(folder, name), name), nowhere, { profile })) {
    roots[name] = entry.cid.toString()
  }
}
console.log(JSON.stringify(roots))
