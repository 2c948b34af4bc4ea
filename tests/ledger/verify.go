// Verifies a ledger with golang.org/x/mod/sumdb's note and tlog, and nothing of Provost's.
//
//	go run verify.go LEDGER OLD-CHECKPOINT
//	go run verify.go --sign
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error, doing string) {
	if err != nil {
		fmt.Printf("%s: %v\n", doing, err)
		os.Exit(1)
	}
}

// A tlog-checkpoint: origin, size, root.
func head(path string, verifier note.Verifier) (int64, tlog.Hash) {
	text, err := os.ReadFile(path)
	must(err, "read "+path)
	opened, err := note.Open(text, note.VerifierList(verifier))
	must(err, "signature of "+path)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		must(fmt.Errorf("%q", opened.Text), "form of "+path)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err, "size of "+path)
	root, err := tlog.ParseHash(lines[2])
	must(err, "root of "+path)
	return size, root
}

func lines(dir string) [][]byte {
	names, err := filepath.Glob(filepath.Join(dir, "entries-*.jsonl"))
	must(err, "list")
	sort.Strings(names)
	var all [][]byte
	for _, name := range names {
		file, err := os.Open(name)
		must(err, "open "+name)
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 4<<20)
		for scanner.Scan() {
			all = append(all, append([]byte(nil), scanner.Bytes()...))
		}
		must(scanner.Err(), "read "+name)
	}
	return all
}

func sign() {
	private, public, err := note.GenerateKey(rand.Reader, "provost/elsewhere")
	must(err, "make a key")
	signer, err := note.NewSigner(private)
	must(err, "use the key")
	root := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))
	signed, err := note.Sign(&note.Note{Text: "provost/elsewhere\n7\n" + root + "\n"}, signer)
	must(err, "sign")
	fmt.Printf("%s\n%s", public, signed)
}

func main() {
	if os.Args[1] == "--sign" {
		sign()
		return
	}
	dir, old := os.Args[1], os.Args[2]
	key, err := os.ReadFile(filepath.Join(dir, "ledger.pub"))
	must(err, "read the key")
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	must(err, "the key")
	size, root := head(filepath.Join(dir, "checkpoint"), verifier)
	oldSize, oldRoot := head(old, verifier)
	fmt.Println("signature: right")

	// The tree made again from the lines alone.
	var made []tlog.Hash
	reader := func(from []tlog.Hash) tlog.HashReaderFunc {
		return func(indexes []int64) ([]tlog.Hash, error) {
			hashes := make([]tlog.Hash, len(indexes))
			for i, index := range indexes {
				hashes[i] = from[index]
			}
			return hashes, nil
		}
	}
	all := lines(dir)
	for n, line := range all {
		hashes, err := tlog.StoredHashes(int64(n), line, reader(made))
		must(err, "hash")
		made = append(made, hashes...)
	}
	if int64(len(all)) != size {
		must(fmt.Errorf("%d lines, %d signed", len(all), size), "size")
	}
	computed, err := tlog.TreeHash(size, reader(made))
	must(err, "root")
	if computed != root {
		must(fmt.Errorf("%v computed, %v signed", computed, root), "root")
	}
	fmt.Printf("root of %d: right\n", size)

	// The stored hashes are what this package would store, and its proofs come out of them.
	bytes, err := os.ReadFile(filepath.Join(dir, "hashes"))
	must(err, "read the hashes")
	if int64(len(bytes)) != 32*tlog.StoredHashCount(size) {
		must(fmt.Errorf("%d bytes", len(bytes)), "stored hashes")
	}
	stored := make([]tlog.Hash, len(bytes)/32)
	for i := range stored {
		copy(stored[i][:], bytes[32*i:])
		if stored[i] != made[i] {
			must(fmt.Errorf("hash %d differs", i), "stored hashes")
		}
	}
	fmt.Printf("stored hashes of %d: right\n", size)
	for n, line := range all {
		proof, err := tlog.ProveRecord(size, int64(n), reader(stored))
		must(err, "prove inclusion")
		must(tlog.CheckRecord(proof, size, root, int64(n), tlog.RecordHash(line)), "inclusion")
	}
	fmt.Printf("inclusion of %d: right\n", size)
	proof, err := tlog.ProveTree(size, oldSize, reader(stored))
	must(err, "prove consistency")
	must(tlog.CheckTree(proof, size, root, oldSize, oldRoot), "consistency")
	fmt.Printf("consistency with %d: right\n", oldSize)
}
