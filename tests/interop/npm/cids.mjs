// Each CID in every text form that multiformats writes, as JSON: cids.mjs CID…
import { base32, base32upper } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { base64url } from 'multiformats/bases/base64'
import { base16 } from 'multiformats/bases/base16'
import { CID } from 'multiformats/cid'

const all = base32.decoder.or(base36.decoder).or(base58btc.decoder).or(base64url.decoder)
const found = {}
for (const text of process.argv.slice(2)) {
  const cid = CID.parse(text, all)
  const forms = [base16, base32, base32upper, base36, base58btc, base64url].map((base) => cid.toV1().toString(base))
  if (cid.code === 0x70 && cid.multihash.code === 0x12) forms.push(cid.toV0().toString())
  found[text] = forms
}
console.log(JSON.stringify(found))
