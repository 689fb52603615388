// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// disk is one of so many sectors, all zeros.
func disk(t *testing.T, sectors int) *Disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, make([]byte, sectors*sector), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDisk(image)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// filled is so many sectors of one byte.
func filled(b byte, sectors int) []byte { return bytes.Repeat([]byte{b}, sectors*sector) }

// TestCutPower: what was flushed is there after any power cut; of what was not, each
// write may be there, not be there, or be there in part, whatever came later.
func TestCutPower(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(400) {
		d := disk(t, 8)
		for offset, b := range map[int64]byte{0: 'a', 2 * sector: 'b'} {
			if err := d.writeAt(offset, filled(b, 2)); err != nil {
				t.Fatal(err)
			}
		}
		d.flush()
		for offset, b := range map[int64]byte{2 * sector: 'c', 4 * sector: 'd'} {
			if err := d.writeAt(offset, filled(b, 2)); err != nil {
				t.Fatal(err)
			}
		}
		cached, lost := d.CutPower(rand.New(rand.NewPCG(seed, 0)))
		found := string(sectorsOf(t, d))
		if cached != 2 || (lost == 0) != (found == "aaccdd..") || found[:2] != "aa" {
			t.Fatalf("seed %d: %s is found, %d of %d writes are lost", seed, found, lost, cached)
		}
		seen[found] = true
	}
	for _, state := range []string{"aabb....", "aaccdd..", "aacc....", "aabbdd..", "aacb....", "aabbd...", "aacbd..."} {
		if !seen[state] {
			t.Errorf("%s never came of a power cut: %v", state, seen)
		}
	}
}

// sectorsOf is a disk with a letter for each sector.
func sectorsOf(t *testing.T, d *Disk) []byte {
	t.Helper()
	data, err := d.readAt(0, d.size())
	if err != nil {
		t.Fatal(err)
	}
	var letters []byte
	for i := 0; i < len(data); i += sector {
		letter := data[i]
		if letter == 0 {
			letter = '.'
		}
		if !bytes.Equal(data[i:i+sector], bytes.Repeat(data[i:i+1], sector)) {
			letter = '!'
		}
		letters = append(letters, letter)
	}
	return letters
}

// TestServe asks the disk as qemu does.
func TestServe(t *testing.T) {
	d := disk(t, 8)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(l) }()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	read := func(n int) []byte {
		t.Helper()
		data := make([]byte, n)
		if _, err := io.ReadFull(conn, data); err != nil {
			t.Fatal(err)
		}
		return data
	}
	send := func(values ...any) {
		t.Helper()
		var b bytes.Buffer
		for _, v := range values {
			if err := binary.Write(&b, binary.BigEndian, v); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := conn.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if hello := read(18); binary.BigEndian.Uint64(hello) != nbdMagic {
		t.Fatalf("%x", hello)
	}
	send(uint32(nbdFixedNewstyle))
	send(uint64(nbdOptionMagic), uint32(8), uint32(0)) // structured replies
	if reply := read(20); binary.BigEndian.Uint32(reply[12:]) != nbdReplyUnsupported {
		t.Fatalf("%x", reply)
	}
	send(uint64(nbdOptionMagic), uint32(nbdOptionGo), uint32(6), make([]byte, 6))
	if reply := read(20 + 12); binary.BigEndian.Uint64(reply[22:]) != 8*sector {
		t.Fatalf("%x", reply)
	}
	if reply := read(20); binary.BigEndian.Uint32(reply[12:]) != nbdReplyAck {
		t.Fatalf("%x", reply)
	}
	request := func(kind uint16, offset, length int, data []byte) (failed uint32) {
		t.Helper()
		send(nbdRequest{Magic: nbdRequestMagic, Kind: kind, Handle: 7, Offset: uint64(offset), Length: uint32(length)}, data)
		reply := read(16)
		if binary.BigEndian.Uint32(reply) != nbdReplyMagic || binary.BigEndian.Uint64(reply[8:]) != 7 {
			t.Fatalf("%x", reply)
		}
		return binary.BigEndian.Uint32(reply[4:])
	}
	if failed := request(nbdWrite, sector, sector, filled('x', 1)); failed != 0 {
		t.Errorf("a write: %d", failed)
	}
	if failed := request(nbdWrite, 8*sector, sector, filled('x', 1)); failed == 0 {
		t.Error("a write beyond the disk succeeds")
	}
	if failed := request(nbdFlush, 0, 0, nil); failed != 0 || d.flushes != 1 {
		t.Errorf("a flush: %d, %d", failed, d.flushes)
	}
	if failed := request(nbdRead, 0, 2*sector, nil); failed != 0 || !bytes.Equal(read(2*sector), append(filled(0, 1), filled('x', 1)...)) {
		t.Errorf("a read: %d", failed)
	}
	stopped := d.StopAfter(1)
	send(nbdRequest{Magic: nbdRequestMagic, Kind: nbdWrite, Length: sector}, filled('y', 1))
	<-stopped
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if cached, _ := d.CutPower(rand.New(rand.NewPCG(1, 0))); cached != 1 {
		t.Errorf("%d writes are in the cache of a disk that stopped at one", cached)
	}
}
