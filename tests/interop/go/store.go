package main

import (
	"bytes"

	"github.com/ipfs/go-cid"
	"github.com/ipld/go-ipld-prime/codec/dagjson"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/multiformats/go-multihash"
)

type block struct {
	Cid  string `json:"cid"`
	Data string `json:"data"`
}

// store encodes a node as publishers do.
func store(node datamodel.Node) (block, error) {
	var data bytes.Buffer
	if err := dagjson.Encode(node, &data); err != nil {
		return block{}, err
	}
	found, err := cid.V1Builder{Codec: cid.DagJSON, MhType: multihash.SHA2_256}.Sum(data.Bytes())
	return block{Cid: found.String(), Data: data.String()}, err
}
