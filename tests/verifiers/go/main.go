// Judges a log by golang.org/x/mod/sumdb/note and tlog, which share no code with the program that wrote it.
//
//	judge VKEY FOLDER < cases > verdicts
//
// A case is a line of JSON, a verdict one of "accepted" or "refused: why". FOLDER is an export in the C2SP tlog-tiles layout.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
)

type testCase struct {
	Kind string `json:"kind"`

	Note    []byte            `json:"note"`
	Overlay map[string][]byte `json:"overlay"` // other contents of the folder's files
	Flip    *flip             `json:"flip"`    // a bit of one of them, of the note or of the receipt
	First   int64             `json:"first"`   // bundles: which, and how many
	Count   int64             `json:"count"`

	Leaf    []byte   `json:"leaf"`
	Index   int64    `json:"index"`
	OldSize int64    `json:"old_size"`
	OldRoot []byte   `json:"old_root"`
	Size    int64    `json:"size"`
	Root    []byte   `json:"root"`
	Path    [][]byte `json:"path"`

	Receipt []byte   `json:"receipt"`
	Words   [][]byte `json:"words"` // what the codes of a receipt's shorthand stand for
}

type flip struct {
	Name string `json:"name"`
	Bit  int    `json:"bit"`
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	judge := judge{note.VerifierList(verifier), verifier.Name(), os.Args[2]}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<26)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var asked testCase
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := judge.judge(&asked); err != nil {
			fmt.Fprintf(out, "refused: %q\n", err.Error())
		} else {
			fmt.Fprintln(out, "accepted")
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

type judge struct {
	known  note.Verifiers
	origin string
	folder string
}

func (j judge) judge(asked *testCase) error {
	if asked.Flip != nil {
		data, ok := map[string][]byte{"note": asked.Note, "receipt": asked.Receipt}[asked.Flip.Name]
		if ok {
			data[asked.Flip.Bit/8] ^= 1 << (asked.Flip.Bit % 8)
		}
	}
	switch asked.Kind {
	case "note":
		_, err := j.open(asked.Note)
		return err
	case "bundles":
		return j.bundles(asked)
	case "record":
		return checkRecord(asked.Leaf, asked.Index, asked.Size, asked.Root, asked.Path)
	case "tree":
		return checkTree(asked)
	case "receipt":
		return j.receipt(asked)
	}
	fmt.Fprintf(os.Stderr, "no case is of the kind %q\n", asked.Kind)
	os.Exit(2)
	return nil
}
