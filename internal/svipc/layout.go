package svipc

import "github.com/rootless-containers/subuidless/internal/sys"

// Layout is the form in which a program reads and writes a status.
type Layout int

const (
	Native Layout = iota // of the machine's own ABI
	I386                 // of i386
	Old                  // of ipc(2) of i386 without IPC_64: ids have 16 bits
)

// In returns the status in the layout l. It may use room.
func (s *Status) In(l Layout, room *sys.IPCStatus) []byte {
	switch l {
	case I386:
		return s.bytes32(room)
	case Old:
		return s.bytesOld(room)
	}
	return s.Bytes()
}

// ChangeSize returns how many bytes of a status IPC_SET reads.
func (l Layout) ChangeSize(kind sys.IPCKind) int {
	switch l {
	case I386:
		return [...]int{shmEnd32, semEnd32, msgEnd32}[kind]
	case Old:
		return [...]int{oldPermEnd, oldPermEnd, msgMaxBytesOld + 2}[kind]
	}
	return [...]int{shmEnd, semEnd, msgEnd}[kind]
}

// Change returns the fields that IPC_SET reads from b, which has ChangeSize bytes.
func (l Layout) Change(kind sys.IPCKind, b []byte) Change {
	switch l {
	case I386:
		return change32(kind, b)
	case Old:
		return changeOld(kind, b)
	}
	s := Status{Kind: kind}
	copy(s.Raw[:], b)
	return s.change()
}
