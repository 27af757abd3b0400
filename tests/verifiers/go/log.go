package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

// open believes a checkpoint: its three lines are signed by the log.
func (j judge) open(signed []byte) (tlog.Tree, error) {
	opened, err := note.Open(signed, j.known)
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("a checkpoint has three lines")
	}
	if lines[0] != j.origin {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is of another log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("not a size: %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// bundles checks entries of the folder: each has the hash that its tile says, and the tile is in the signed tree.
//
// A proof of one entry is made from all the hashes of its tile, and of the tiles above: so it stands for the tile. (The
// TileHashReader of golang.org/x/mod 0.7.0 leaves tiles unchecked where the tree's right edge has several hashes in one tile.)
func (j judge) bundles(asked *testCase) error {
	tree, err := j.open(asked.Note)
	if err != nil {
		return err
	}
	files := files{j.folder, asked.Overlay, asked.Flip}
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		return files.hashes(tree.N, indexes)
	})
	for n := asked.First; n < asked.First+asked.Count; n++ {
		first := n * width
		leaves, err := files.bundle(tree.N, n)
		if err != nil {
			return err
		}
		data, err := files.tile(0, n, len(leaves))
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			hash := tlog.RecordHash(leaf)
			if string(data[i*tlog.HashSize:(i+1)*tlog.HashSize]) != string(hash[:]) {
				return fmt.Errorf("entry %d has another hash", first+int64(i))
			}
		}
		proof, err := tlog.ProveRecord(tree.N, first, stored)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, first, tlog.RecordHash(leaves[0])); err != nil {
			return err
		}
	}
	return nil
}

// files reads the folder, as it is or with changes that a case makes.
type files struct {
	folder  string
	overlay map[string][]byte
	flip    *flip
}

func (f files) read(name string) ([]byte, error) {
	data, changed := f.overlay[name]
	if !changed {
		var err error
		if data, err = os.ReadFile(filepath.Join(f.folder, filepath.FromSlash(name))); err != nil {
			return nil, err
		}
	}
	if f.flip != nil && f.flip.Name == name {
		data[f.flip.Bit/8] ^= 1 << (f.flip.Bit % 8)
	}
	return data, nil
}

// hashes finds stored hashes in tiles. The layout of tlog-tiles is tlog's own, without the height in its path.
func (f files) hashes(size int64, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		tile := tlog.TileForIndex(height, index)
		if rest := size>>(height*tile.L) - tile.N*width; rest < width {
			tile.W = int(rest)
		} else {
			tile.W = width
		}
		data, err := f.tile(tile.L, tile.N, tile.W)
		if err != nil {
			return nil, err
		}
		if hashes[i], err = tlog.HashFromTile(tile, data, index); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

func (f files) tile(level int, n int64, count int) ([]byte, error) {
	data, whole, err := f.wide(strconv.Itoa(level), n, int64(count))
	if err != nil {
		return nil, err
	}
	if whole && len(data) == width*tlog.HashSize {
		data = data[:count*tlog.HashSize]
	}
	if len(data) != count*tlog.HashSize {
		return nil, fmt.Errorf("tile %d at level %d has %d bytes", n, level, len(data))
	}
	return data, nil
}

// wide reads a partial tile, or the full one where the log has grown and the partial one is gone.
func (f files) wide(level string, n, count int64) (data []byte, whole bool, err error) {
	data, err = f.read(name(level, n, count))
	if count == width || !errors.Is(err, fs.ErrNotExist) {
		return data, count == width, err
	}
	data, err = f.read(name(level, n, width))
	return data, true, err
}

func (f files) bundle(size, n int64) ([][]byte, error) {
	count := int64(width)
	if rest := size - n*width; rest < count {
		count = rest
	}
	if count <= 0 {
		return nil, fmt.Errorf("the log has no bundle %d", n)
	}
	data, whole, err := f.wide("entries", n, count)
	if err != nil {
		return nil, err
	}
	var leaves [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d is cut off", n)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		leaves = append(leaves, data[2:end])
		data = data[end:]
	}
	if whole && len(leaves) == width {
		leaves = leaves[:count]
	}
	if int64(len(leaves)) != count {
		return nil, fmt.Errorf("bundle %d has %d entries", n, len(leaves))
	}
	return leaves, nil
}

func name(level string, n, count int64) string {
	tile := tlog.Tile{H: height, L: 0, N: n, W: int(count)}
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", height), "tile/"+level+"/", 1)
}

func checkRecord(leaf []byte, index, size int64, root []byte, path [][]byte) error {
	hashes, err := toHashes(append([][]byte{root}, path...))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes[1:], size, hashes[0], index, tlog.RecordHash(leaf))
}

func checkTree(asked *testCase) error {
	hashes, err := toHashes(append([][]byte{asked.OldRoot, asked.Root}, asked.Path...))
	if err != nil {
		return err
	}
	return tlog.CheckTree(hashes[2:], asked.Size, hashes[1], asked.OldSize, hashes[0])
}

func toHashes(data [][]byte) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(data))
	for i, raw := range data {
		hash, err := tlog.ParseHash(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			return nil, err
		}
		hashes[i] = hash
	}
	return hashes, nil
}
