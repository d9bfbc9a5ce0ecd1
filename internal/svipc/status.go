package svipc

import (
	"encoding/binary"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Status is the status of an object: struct shmid64_ds, semid64_ds or msqid64_ds of
// <linux/shm.h>, <linux/sem.h> and <linux/msg.h>, which IPC_STAT returns, in the layout of
// the machine's own ABI. They begin with struct ipc64_perm of <linux/ipcbuf.h>.
type Status struct {
	Kind sys.IPCKind
	Raw  sys.IPCStatus
}

// Offsets in struct ipc64_perm, on all ABIs.
const (
	permUID  = 4
	permGID  = 8
	permCUID = 12
	permCGID = 16
	permMode = 20 // 32 bits, or 16 on i386
	permSeq  = 24
)

// Sizes and offsets where long has 64 bits.
const (
	shmSize     = 48 // shm_segsz
	shmAccessed = 56 // shm_atime
	shmDetached = 64 // shm_dtime
	shmChanged  = 72 // shm_ctime
	shmCreator  = 80 // shm_cpid
	shmLast     = 84 // shm_lpid
	shmAttached = 88 // shm_nattch
	shmEnd      = 112

	semOperated = 48 // sem_otime
	semEnd      = semCount + 24

	msgSent         = 48 // msg_stime
	msgReceived     = 56 // msg_rtime
	msgChanged      = 64 // msg_ctime
	msgBytes        = 72 // msg_cbytes
	msgCount        = 80 // msg_qnum
	msgMaxBytes     = 88 // msg_qbytes
	msgLastSender   = 96 // msg_lspid
	msgLastReceiver = 100
	msgEnd          = 120
)

// Count returns what the size argument of shmget(2) and semget(2) is compared with: the size
// of shared memory, or the number of semaphores.
func (s *Status) Count() uint64 {
	if s.Kind == sys.SharedMemory {
		return s.get64(shmSize)
	}
	return s.get64(semCount)
}

// Changed returns the time of creation or of the last IPC_SET, in seconds. For semaphores, it
// may also be that of SETVAL or SETALL.
func (s *Status) Changed() int64 {
	return int64(s.get64([...]int{shmChanged, semChanged, msgChanged}[s.Kind]))
}

// UID returns the user id of the owner, in the reader's user namespace.
func (s *Status) UID() uint32 { return s.get32(permUID) }

// GID returns the group id of the owner.
func (s *Status) GID() uint32 { return s.get32(permGID) }

// CUID returns the user id of the creator.
func (s *Status) CUID() uint32 { return s.get32(permCUID) }

// CGID returns the group id of the creator.
func (s *Status) CGID() uint32 { return s.get32(permCGID) }

// Mode returns the permissions, and the flags SHM_DEST and SHM_LOCKED.
func (s *Status) Mode() uint32 { return s.get32(permMode) }

// Show makes the status show the owner and the creator of r.
func (s *Status) Show(r *Record) {
	s.set32(permUID, r.UID)
	s.set32(permGID, r.GID)
	s.set32(permCUID, r.CUID)
	s.set32(permCGID, r.CGID)
}

// PIDs calls f with the position of each process id in the status.
func (s *Status) PIDs(f func(pid *uint32)) {
	at := func(offset int) {
		pid := s.get32(offset)
		f(&pid)
		s.set32(offset, pid)
	}
	switch s.Kind {
	case sys.SharedMemory:
		at(shmCreator)
		at(shmLast)
	case sys.MessageQueue:
		at(msgLastSender)
		at(msgLastReceiver)
	}
}

// SetCreator sets the process that has created the object, which is shared memory.
func (s *Status) SetCreator(pid uint32) { s.set32(shmCreator, pid) }

// Change is what IPC_SET changes.
type Change struct {
	UID, GID, Mode uint32
	MaxBytes       uint64 // msg_qbytes of message queues
}

// Set sets the fields that IPC_SET reads.
func (s *Status) Set(c *Change) {
	s.set32(permUID, c.UID)
	s.set32(permGID, c.GID)
	s.set32(permMode, c.Mode)
	if s.Kind == sys.MessageQueue {
		s.set64(msgMaxBytes, c.MaxBytes)
	}
}

// change returns the fields that IPC_SET reads.
func (s *Status) change() Change {
	c := Change{UID: s.UID(), GID: s.GID(), Mode: s.Mode()}
	if s.Kind == sys.MessageQueue {
		c.MaxBytes = s.get64(msgMaxBytes)
	}
	return c
}

// Bytes returns the structure as a program reads and writes it.
func (s *Status) Bytes() []byte { return s.Raw[:[...]int{shmEnd, semEnd, msgEnd}[s.Kind]] }

func (s *Status) get32(at int) uint32    { return binary.NativeEndian.Uint32(s.Raw[at:]) }
func (s *Status) get64(at int) uint64    { return binary.NativeEndian.Uint64(s.Raw[at:]) }
func (s *Status) set32(at int, v uint32) { binary.NativeEndian.PutUint32(s.Raw[at:], v) }
func (s *Status) set64(at int, v uint64) { binary.NativeEndian.PutUint64(s.Raw[at:], v) }
