// The published Synapse SDK on a devnet, one command a run: synapse.mjs DEVNET_INFO COMMAND ARGUMENT…
// Prints one JSON object. The key is that of the devnet's first user.
import { createReadStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { toChain, validateDevnetInfo } from '@filoz/synapse-core/devnet'
import * as Piece from '@filoz/synapse-core/piece'
import { Synapse } from '@filoz/synapse-sdk'
import { http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const [infoPath, command, ...args] = process.argv.slice(2)
const info = validateDevnetInfo(JSON.parse(await readFile(infoPath, 'utf8')))
const synapse = Synapse.create({
  account: privateKeyToAccount(info.info.users[0].private_key_hex),
  chain: toChain(info),
  transport: http(),
  source: 'filecoin-pin'
})
const metadata = { withIPFSIndexing: '' }

const commands = {
  async funds () {
    return await synapse.payments.accountInfo()
  },
  async deposit (amount) {
    return { hash: await synapse.payments.deposit({ amount: BigInt(amount) }) }
  },
  async piece (path) {
    return { pieceCid: Piece.calculate(new Uint8Array(await readFile(path))).toString() }
  },
  async upload (path, root) {
    const data = Readable.toWeb(createReadStream(path))
    return await synapse.storage.upload(data, { metadata, pieceMetadata: { ipfsRootCID: root }, copies: 2 })
  },
  async sets () {
    return await synapse.storage.findDataSets()
  },
  async download (pieceCid, path) {
    const data = await synapse.storage.download({ pieceCid })
    await writeFile(path, data)
    return { size: data.length }
  },
  async remove (dataSetId, pieceCid) {
    const context = await synapse.storage.createContext({ dataSetId: BigInt(dataSetId) })
    return { hash: await context.deletePiece({ piece: pieceCid }) }
  }
}
const plain = (_, value) => typeof value === 'bigint' ? value.toString() : value
console.log(JSON.stringify(await commands[command](...args), plain))
