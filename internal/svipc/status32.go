package svipc

import (
	"encoding/binary"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Sizes and offsets on i386, with IPC_64. A time has two words.
const (
	shmSize32     = 36
	shmTimes32    = 40 // shm_atime, shm_dtime and shm_ctime
	shmCreator32  = 64 // and shm_lpid
	shmAttached32 = 72
	shmEnd32      = 84

	semTimes32 = 36 // sem_otime and sem_ctime
	semCount32 = 52
	semEnd32   = 64

	msgTimes32    = 36 // msg_stime, msg_rtime and msg_ctime
	msgBytes32    = 60 // msg_cbytes, msg_qnum and msg_qbytes
	msgMaxBytes32 = 68
	msgLast32     = 72 // msg_lspid and msg_lrpid
	msgEnd32      = 88
)

// bytes32 writes the structure to b, and returns it.
func (s *Status) bytes32(b *sys.IPCStatus) []byte {
	clear(b[:])
	put := func(at int, v uint64) { binary.LittleEndian.PutUint32(b[at:], uint32(v)) }
	time := func(at, from int) {
		put(at, s.get64(from))
		put(at+4, s.get64(from)>>32)
	}
	copy(b[:permMode], s.Raw[:permMode])
	copy(b[permMode:permMode+2], s.Raw[permMode:])
	copy(b[permSeq:permSeq+2], s.Raw[permSeq:])
	switch s.Kind {
	case sys.SharedMemory:
		put(shmSize32, s.get64(shmSize))
		time(shmTimes32, shmAccessed)
		time(shmTimes32+8, shmDetached)
		time(shmTimes32+16, shmChanged)
		copy(b[shmCreator32:shmCreator32+8], s.Raw[shmCreator:])
		put(shmAttached32, s.get64(shmAttached))
		return b[:shmEnd32]
	case sys.Semaphores:
		time(semTimes32, semOperated)
		time(semTimes32+8, semChanged)
		put(semCount32, s.get64(semCount))
		return b[:semEnd32]
	}
	time(msgTimes32, msgSent)
	time(msgTimes32+8, msgReceived)
	time(msgTimes32+16, msgChanged)
	put(msgBytes32, s.get64(msgBytes))
	put(msgBytes32+4, s.get64(msgCount))
	put(msgMaxBytes32, s.get64(msgMaxBytes))
	copy(b[msgLast32:msgLast32+8], s.Raw[msgLastSender:])
	return b[:msgEnd32]
}

// change32 returns the fields that IPC_SET reads from b.
func change32(kind sys.IPCKind, b []byte) Change {
	c := Change{
		UID: binary.LittleEndian.Uint32(b[permUID:]), GID: binary.LittleEndian.Uint32(b[permGID:]),
		Mode: uint32(binary.LittleEndian.Uint16(b[permMode:])),
	}
	if kind == sys.MessageQueue {
		c.MaxBytes = uint64(binary.LittleEndian.Uint32(b[msgMaxBytes32:]))
	}
	return c
}
