package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// receipt checks a tlog-proof, whose extra line has the entry in shorthand: a byte below 32 stands for a word, and 1 for the
// 32 bytes after it in hex.
func (j judge) receipt(asked *testCase) error {
	head, signed, found := bytes.Cut(asked.Receipt, []byte("\n\n"))
	if !found {
		return fmt.Errorf("not a receipt")
	}
	lines := strings.Split(string(head), "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a receipt")
	}
	short, err := decode(lines[1], "extra ")
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil || lines[2] != fmt.Sprintf("index %d", index) {
		return fmt.Errorf("not an index: %q", lines[2])
	}
	var proof [][]byte
	for _, line := range lines[3:] {
		hash, err := decode(line, "")
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := j.open(signed)
	if err != nil {
		return err
	}
	leaf, err := lengthen(short, asked.Words)
	if err != nil {
		return err
	}
	return checkRecord(leaf, index, tree.N, tree.Hash[:], proof)
}

func lengthen(short []byte, words [][]byte) ([]byte, error) {
	var leaf []byte
	for len(short) > 0 {
		code := int(short[0])
		short = short[1:]
		switch {
		case code == 1 && len(short) >= 32:
			leaf = append(leaf, hex.EncodeToString(short[:32])...)
			short = short[32:]
		case code >= 2 && code-2 < len(words):
			leaf = append(leaf, words[code-2]...)
		case code >= 32:
			leaf = append(leaf, byte(code))
		default:
			return nil, fmt.Errorf("no word has the code %d", code)
		}
	}
	return leaf, nil
}

func decode(line, label string) ([]byte, error) {
	if !strings.HasPrefix(line, label) {
		return nil, fmt.Errorf("%q does not begin with %q", line, label)
	}
	encoded := strings.TrimPrefix(line, label)
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || base64.StdEncoding.EncodeToString(data) != encoded {
		return nil, fmt.Errorf("not base64 in its one spelling: %q", encoded)
	}
	return data, nil
}
