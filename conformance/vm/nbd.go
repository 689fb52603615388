// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// What of the Network Block Device protocol qemu needs
// (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md): one export
// under any name, the fixed newstyle negotiation, and simple replies.
const (
	nbdMagic        = 0x4e42444d41474943 // "NBDMAGIC"
	nbdOptionMagic  = 0x49484156454f5054 // "IHAVEOPT"
	nbdOptionReply  = 0x3e889045565a9
	nbdRequestMagic = 0x25609513
	nbdReplyMagic   = 0x67446698

	nbdFixedNewstyle = 1
	nbdNoZeroes      = 2

	nbdOptionAbort, nbdOptionInfo, nbdOptionGo            = 2, 6, 7
	nbdReplyAck, nbdReplyInfo, nbdReplyUnsupported        = 1, 3, 1<<31 + 1
	nbdInfoExport                                         = 0
	nbdHasFlags, nbdSendFlush, nbdSendFUA                 = 1, 1 << 2, 1 << 3
	nbdRead, nbdWrite, nbdDisconnect, nbdFlush            = 0, 1, 2, 3
	nbdCommandFUA                                         = 1
	nbdInvalid                                            = 22
	mostRequest                                    uint32 = 32 << 20
)

// errDisconnected is the regular end of a connection.
var errDisconnected = errors.New("the client disconnected")

// Serve serves the disk to one machine, until that is off.
func (d *Disk) Serve(l net.Listener) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	err = d.negotiate(conn)
	for err == nil {
		err = d.request(conn)
	}
	var cut *net.OpError // the end of a machine that lost its power
	if errors.Is(err, errDisconnected) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &cut) {
		return nil
	}
	return fmt.Errorf("the machine's disk: %w", err)
}

// negotiate ends when the client has chosen the export.
func (d *Disk) negotiate(conn net.Conn) error {
	hello := binary.BigEndian.AppendUint64(nil, nbdMagic)
	hello = binary.BigEndian.AppendUint64(hello, nbdOptionMagic)
	hello = binary.BigEndian.AppendUint16(hello, nbdFixedNewstyle|nbdNoZeroes)
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil { // the client's flags
		return err
	}
	for {
		var option struct {
			Magic        uint64
			Kind, Length uint32
		}
		if err := binary.Read(conn, binary.BigEndian, &option); err != nil {
			return err
		}
		if option.Magic != nbdOptionMagic || option.Length > mostRequest {
			return fmt.Errorf("an option %+v", option)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(option.Length)); err != nil {
			return err
		}
		if chosen, err := d.answer(conn, option.Kind); err != nil || chosen {
			return err
		}
	}
}

// answer answers an option, and reports whether requests follow.
func (d *Disk) answer(conn net.Conn, kind uint32) (chosen bool, err error) {
	reply := func(what uint32, data []byte) {
		head := binary.BigEndian.AppendUint64(nil, nbdOptionReply)
		for _, n := range []uint32{kind, what, uint32(len(data))} {
			head = binary.BigEndian.AppendUint32(head, n)
		}
		if err == nil {
			_, err = conn.Write(append(head, data...))
		}
	}
	switch kind {
	case nbdOptionInfo, nbdOptionGo:
		info := binary.BigEndian.AppendUint16(nil, nbdInfoExport)
		info = binary.BigEndian.AppendUint64(info, uint64(d.size()))
		info = binary.BigEndian.AppendUint16(info, nbdHasFlags|nbdSendFlush|nbdSendFUA)
		reply(nbdReplyInfo, info)
		reply(nbdReplyAck, nil)
	case nbdOptionAbort:
		reply(nbdReplyAck, nil)
		err = errors.Join(err, errDisconnected)
	default:
		reply(nbdReplyUnsupported, nil)
	}
	return kind == nbdOptionGo, err
}

// nbdRequest is a request as it comes; the data of a write follow.
type nbdRequest struct {
	Magic       uint32
	Flags, Kind uint16
	Handle      uint64
	Offset      uint64
	Length      uint32
}

// request serves one request. They are served one after the other, so what comes
// before a flush is in the cache by then.
func (d *Disk) request(conn net.Conn) error {
	var r nbdRequest
	if err := binary.Read(conn, binary.BigEndian, &r); err != nil {
		return err
	}
	if r.Magic != nbdRequestMagic || r.Length > mostRequest {
		return fmt.Errorf("a request %+v", r)
	}
	var data []byte
	var failed error
	switch r.Kind {
	case nbdRead:
		data, failed = d.readAt(int64(r.Offset), int64(r.Length))
	case nbdWrite:
		written := make([]byte, r.Length)
		if _, err := io.ReadFull(conn, written); err != nil {
			return err // the power was cut in the middle: nothing of it is there
		}
		failed = d.writeAt(int64(r.Offset), written)
		if d.written() {
			_, err := io.Copy(io.Discard, conn) // until the machine is off
			return errors.Join(err, io.EOF)
		}
	case nbdFlush:
		d.flush()
	case nbdDisconnect:
		return errDisconnected
	default:
		failed = fmt.Errorf("a request of kind %d", r.Kind)
	}
	if r.Flags&nbdCommandFUA != 0 {
		d.flush() // more than it asks for
	}
	reply := binary.BigEndian.AppendUint32(nil, nbdReplyMagic)
	reply = binary.BigEndian.AppendUint32(reply, 0)
	if failed != nil {
		binary.BigEndian.PutUint32(reply[4:], nbdInvalid)
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint64(reply, r.Handle), data...))
	return err
}
