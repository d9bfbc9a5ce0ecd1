package svipc

import (
	"encoding/binary"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Sizes and offsets in struct shmid_ds, semid_ds and msqid_ds of <linux/shm.h>, <linux/sem.h> and
// <linux/msg.h> on i386. A time has one word; ids, process ids and numbers have 16 bits.
const (
	oldPermUID  = 4 // in struct ipc_perm of <linux/ipc.h>
	oldPermMode = 12
	oldPermSeq  = 14
	oldPermEnd  = 16

	shmSizeOld     = 16
	shmTimesOld    = 20 // shm_atime, shm_dtime and shm_ctime
	shmCreatorOld  = 32 // and shm_lpid
	shmAttachedOld = 36
	shmEndOld      = 48

	semTimesOld = 16 // sem_otime and sem_ctime
	semCountOld = 40
	semEndOld   = 44

	msgTimesOld    = 24 // msg_stime, msg_rtime and msg_ctime
	msgBytesOld    = 44 // msg_cbytes, msg_qnum and msg_qbytes
	msgMaxBytesOld = 48
	msgLastOld     = 50 // msg_lspid and msg_lrpid
	msgEndOld      = 56
)

// overflowID replaces an id that does not fit in 16 bits (/proc/sys/fs/overflowuid).
const overflowID = 65534

// bytesOld writes the structure to b, and returns it.
func (s *Status) bytesOld(b *sys.IPCStatus) []byte {
	clear(b[:])
	word := func(at int, v uint64) { binary.LittleEndian.PutUint32(b[at:], uint32(v)) }
	half := func(at int, v uint64) { binary.LittleEndian.PutUint16(b[at:], uint16(v)) }
	copy(b[:oldPermUID], s.Raw[:permUID])
	for i := range 4 { // the ids have the same order
		id := s.get32(permUID + 4*i)
		if id > 0xffff {
			id = overflowID
		}
		half(oldPermUID+2*i, uint64(id))
	}
	half(oldPermMode, uint64(s.get32(permMode)))
	copy(b[oldPermSeq:oldPermSeq+2], s.Raw[permSeq:])
	switch s.Kind {
	case sys.SharedMemory:
		word(shmSizeOld, s.get64(shmSize))
		word(shmTimesOld, s.get64(shmAccessed))
		word(shmTimesOld+4, s.get64(shmDetached))
		word(shmTimesOld+8, s.get64(shmChanged))
		half(shmCreatorOld, uint64(s.get32(shmCreator)))
		half(shmCreatorOld+2, uint64(s.get32(shmLast)))
		half(shmAttachedOld, s.get64(shmAttached))
		return b[:shmEndOld]
	case sys.Semaphores:
		word(semTimesOld, s.get64(semOperated))
		word(semTimesOld+4, s.get64(semChanged))
		half(semCountOld, s.get64(semCount))
		return b[:semEndOld]
	}
	word(msgTimesOld, s.get64(msgSent))
	word(msgTimesOld+4, s.get64(msgReceived))
	word(msgTimesOld+8, s.get64(msgChanged))
	half(msgBytesOld, s.get64(msgBytes))
	half(msgBytesOld+2, s.get64(msgCount))
	half(msgMaxBytesOld, s.get64(msgMaxBytes))
	half(msgLastOld, uint64(s.get32(msgLastSender)))
	half(msgLastOld+2, uint64(s.get32(msgLastReceiver)))
	return b[:msgEndOld]
}

// changeOld returns the fields that IPC_SET reads from b. The kernel does not take 65535 for -1.
func changeOld(kind sys.IPCKind, b []byte) Change {
	half := func(at int) uint32 { return uint32(binary.LittleEndian.Uint16(b[at:])) }
	c := Change{UID: half(oldPermUID), GID: half(oldPermUID + 2), Mode: half(oldPermMode)}
	if kind == sys.MessageQueue {
		c.MaxBytes = uint64(half(msgMaxBytesOld))
	}
	return c
}
