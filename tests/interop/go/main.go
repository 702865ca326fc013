// Reads what fpin and its devnet write with the libraries that IPFS and IPNI programs are made of.
//
// Each command prints lines of JSON, or of text, for a test to compare, and ends with 1 where a library refuses
// something. Nothing here interprets a format itself.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/files"
	"github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	unixfile "github.com/ipfs/boxo/ipld/unixfs/file"
	routing "github.com/ipfs/boxo/routing/http/client"
	"github.com/ipfs/boxo/routing/http/types"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/blockstore"
	"github.com/ipni/go-libipni/dagsync/ipnisync/head"
	"github.com/ipni/go-libipni/dhash"
	"github.com/ipni/go-libipni/find/client"
	"github.com/ipni/go-libipni/find/model"
	"github.com/ipni/go-libipni/ingest/schema"
	"github.com/ipni/go-libipni/metadata"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-multihash"

	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
)

var commands = map[string]func(args []string) error{
	"car-verify":  carVerify,
	"car-list":    carList,
	"car-index":   carIndex,
	"car-extract": carExtract,
	"find":        find,
	"find-hidden": findHidden,
	"providers":   providers,
	"chain":       chain,
	"gateway":     throughGateway,
	"vectors":     vectors,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "unknown command")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func say(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}

// CARs, with go-car

// carVerify hashes every section, and wants each root among them. FILE
func carVerify(args []string) error {
	missing := map[cid.Cid]bool{}
	count, err := eachBlock(args[0], func(roots []cid.Cid) {
		for _, root := range roots {
			missing[root] = true
		}
	}, func(c cid.Cid) { delete(missing, c) })
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return errors.New("a root is not present as a block")
	}
	fmt.Println(count)
	return nil
}

// carList prints the CID of each section. FILE
func carList(args []string) error {
	_, err := eachBlock(args[0], func([]cid.Cid) {}, func(c cid.Cid) { fmt.Println(c) })
	return err
}

func eachBlock(path string, begin func([]cid.Cid), each func(cid.Cid)) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	reader, err := car.NewBlockReader(file) // which hashes what it reads
	if err != nil {
		return 0, err
	}
	begin(reader.Roots)
	for count := 0; ; count++ {
		block, err := reader.Next()
		if err == io.EOF {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		each(block.Cid())
	}
}

// carIndex makes a CARv2 with an index of that codec. FILE OUT CODEC
func carIndex(args []string) error {
	var codec multicodec.Code
	if err := codec.Set(args[2]); err != nil {
		return err
	}
	source, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer source.Close()
	out, err := os.Create(args[1])
	if err != nil {
		return err
	}
	defer out.Close()
	return car.WrapV1(source, out, car.UseIndexCodec(codec))
}

// carExtract writes the files of the first root. FILE OUT
func carExtract(args []string) error {
	ctx := context.Background()
	blocks, err := blockstore.OpenReadOnly(args[0], blockstore.UseWholeCIDs(false))
	if err != nil {
		return err
	}
	defer blocks.Close()
	roots, err := blocks.Roots()
	if err != nil {
		return err
	}
	dag := merkledag.NewDAGService(blockservice.New(blocks, offline.Exchange(blocks)))
	node, err := dag.Get(ctx, roots[0])
	if err != nil {
		return err
	}
	file, err := unixfile.NewUnixfsFile(ctx, dag, node)
	if err != nil {
		return err
	}
	return files.WriteTo(file, args[1])
}

// Indexers, with go-libipni and the routing client of boxo

type record struct {
	Peer      string   `json:"peer"`
	ContextID string   `json:"context_id"`
	Metadata  string   `json:"metadata"`
	Protocols []string `json:"protocols"`
	Addresses []string `json:"addresses"`
}

func sayRecords(found *model.FindResponse) error {
	for _, result := range found.MultihashResults {
		for _, one := range result.ProviderResults {
			decoded := metadata.Default.New()
			if err := decoded.UnmarshalBinary(one.Metadata); err != nil {
				return err
			}
			shown := record{
				Peer:      one.Provider.ID.String(),
				ContextID: hex.EncodeToString(one.ContextID),
				Metadata:  hex.EncodeToString(one.Metadata),
			}
			for _, protocol := range decoded.Protocols() {
				shown.Protocols = append(shown.Protocols, protocol.String())
			}
			for _, address := range one.Provider.Addrs {
				shown.Addresses = append(shown.Addresses, address.String())
			}
			if err := say(shown); err != nil {
				return err
			}
		}
	}
	return nil
}

func lookUp(text string, finder client.Finder) error {
	wanted, err := cid.Decode(text)
	if err != nil {
		return err
	}
	found, err := finder.Find(context.Background(), wanted.Hash())
	if err != nil {
		return err
	}
	return sayRecords(found)
}

// find asks an indexer. URL CID
func find(args []string) error {
	finder, err := client.New(args[0])
	if err != nil {
		return err
	}
	return lookUp(args[1], finder)
}

// findHidden asks an indexer by second hash. URL CID
func findHidden(args []string) error {
	finder, err := client.NewDHashClient(client.WithDHStoreURL(args[0]), client.WithPcachePreload(false))
	if err != nil {
		return err
	}
	return lookUp(args[1], finder)
}

// providers asks a delegated router. URL CID
func providers(args []string) error {
	wanted, err := cid.Decode(args[1])
	if err != nil {
		return err
	}
	router, err := routing.New(args[0], routing.WithProtocolFilter([]string{"transport-ipfs-gateway-http"}))
	if err != nil {
		return err
	}
	found, err := router.FindProviders(context.Background(), wanted)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		one := found.Val()
		if one.Err != nil {
			return one.Err
		}
		known, ok := one.Val.(*types.PeerRecord)
		if !ok {
			return fmt.Errorf("a record of schema %q", one.Val.GetSchema())
		}
		shown := record{Peer: known.ID.String(), Protocols: known.Protocols}
		for _, address := range known.Addrs {
			shown.Addresses = append(shown.Addresses, address.String())
		}
		if err := say(shown); err != nil {
			return err
		}
	}
	return nil
}

// Advertisements, with go-libipni

type advertisement struct {
	Cid       string   `json:"cid"`
	Signer    string   `json:"signer"`
	Provider  string   `json:"provider"`
	ContextID string   `json:"context_id"`
	IsRm      bool     `json:"is_rm"`
	Extended  []string `json:"extended"`
	Entries   int      `json:"entries"`
}

// chain walks a chain from its head, and checks every signature and hash. URL
func chain(args []string) error {
	body, err := fetch(args[0] + "/ipni/v1/ad/head")
	if err != nil {
		return err
	}
	signed, err := head.Decode(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if _, err := signed.Validate(); err != nil {
		return err
	}
	at := signed.Head.(cidlink.Link).Cid
	for at != cid.Undef {
		body, err := fetchBlock(args[0], at)
		if err != nil {
			return err
		}
		ad, err := schema.BytesToAdvertisement(at, body)
		if err != nil {
			return err
		}
		if err := ad.Validate(); err != nil {
			return err
		}
		signer, err := ad.VerifySignature()
		if err != nil {
			return err
		}
		shown := advertisement{
			Cid: at.String(), Signer: signer.String(), Provider: ad.Provider,
			ContextID: hex.EncodeToString(ad.ContextID), IsRm: ad.IsRm,
		}
		if ad.ExtendedProvider != nil {
			for _, one := range ad.ExtendedProvider.Providers {
				shown.Extended = append(shown.Extended, one.ID)
			}
		}
		if shown.Entries, err = entries(args[0], ad.Entries.(cidlink.Link).Cid); err != nil {
			return err
		}
		if err := say(shown); err != nil {
			return err
		}
		at = ad.PreviousCid()
	}
	return nil
}

func entries(base string, at cid.Cid) (int, error) {
	count := 0
	for at != cid.Undef && at != schema.NoEntries.Cid {
		body, err := fetchBlock(base, at)
		if err != nil {
			return 0, err
		}
		chunk, err := schema.BytesToEntryChunk(at, body)
		if err != nil {
			return 0, err
		}
		count += len(chunk.Entries)
		at = cid.Undef
		if chunk.Next != nil {
			at = chunk.Next.(cidlink.Link).Cid
		}
	}
	return count, nil
}

func fetchBlock(base string, wanted cid.Cid) ([]byte, error) {
	body, err := fetch(base + "/ipni/v1/ad/" + wanted.String())
	if err != nil {
		return nil, err
	}
	if got, err := wanted.Prefix().Sum(body); err != nil || got != wanted {
		return nil, fmt.Errorf("%s has another hash", wanted)
	}
	return body, nil
}

func fetch(url string) ([]byte, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: HTTP %d: %.200s", url, answer.StatusCode, body)
	}
	return body, err
}

// Retrieval, with the gateway of boxo

// throughGateway serves paths with a web gateway that has nothing but a trustless one behind it, and writes
// what it gives. URL PATH OUT
func throughGateway(args []string) error {
	fetcher, err := gateway.NewRemoteCarFetcher([]string{args[0]}, nil)
	if err != nil {
		return err
	}
	backend, err := gateway.NewCarBackend(fetcher)
	if err != nil {
		return err
	}
	config := gateway.Config{DeserializedResponses: true, NoDNSLink: true}
	server := httptest.NewServer(gateway.NewHandler(config, backend))
	defer server.Close()
	body, err := fetch(server.URL + args[1])
	if err != nil {
		return err
	}
	return os.WriteFile(args[2], body, 0o644)
}

// Vectors for tests that run without this program

// vectors prints what the libraries make of fixed inputs.
func vectors([]string) error {
	key := func(first byte) (crypto.PrivKey, peer.ID) {
		seed := make([]byte, 32)
		for at := range seed {
			seed[at] = first + byte(at)
		}
		private, _, err := crypto.GenerateEd25519Key(bytes.NewReader(seed))
		if err != nil {
			panic(err)
		}
		id, err := peer.IDFromPrivateKey(private)
		if err != nil {
			panic(err)
		}
		return private, id
	}
	own, ownID := key(0)
	other, otherID := key(1)
	sum, err := multihash.Sum([]byte("hello world"), multihash.SHA2_256, -1)
	if err != nil {
		return err
	}
	contextID, how := []byte("ctx-1"), []byte{0xa0, 0x12, 0x00}
	valueKey := dhash.CreateValueKey(ownID, contextID)
	sealedKey, err := dhash.EncryptValueKey(valueKey, sum)
	if err != nil {
		return err
	}
	sealedHow, err := dhash.EncryptMetadata(how, valueKey)
	if err != nil {
		return err
	}
	ad := schema.Advertisement{
		Provider: ownID.String(), Addresses: []string{"/dns/sp.example.com/tcp/443/https"},
		Entries: schema.NoEntries, ContextID: contextID, Metadata: how,
		ExtendedProvider: &schema.ExtendedProvider{Override: true, Providers: []schema.Provider{
			{ID: ownID.String(), Addresses: []string{}, Metadata: []byte{}},
			{ID: otherID.String(), Addresses: []string{"/dns/other.example.com/tcp/443/https"}, Metadata: how},
		}},
	}
	keyOf := func(string) (crypto.PrivKey, error) { return other, nil }
	if err := ad.SignWithExtendedProviders(own, keyOf); err != nil {
		return err
	}
	node, err := ad.ToNode()
	if err != nil {
		return err
	}
	link, err := store(node)
	if err != nil {
		return err
	}
	return say(map[string]any{
		"multihash":           hex.EncodeToString(sum),
		"second_hash":         hex.EncodeToString(dhash.SecondMultihash(sum)),
		"peer_id":             ownID.String(),
		"context_id":          hex.EncodeToString(contextID),
		"metadata":            hex.EncodeToString(how),
		"value_key":           hex.EncodeToString(valueKey),
		"metadata_key":        hex.EncodeToString(dhash.SHA256(valueKey, nil)),
		"encrypted_value_key": hex.EncodeToString(sealedKey),
		"encrypted_metadata":  hex.EncodeToString(sealedHow),
		"extended_ad":         link,
	})
}
