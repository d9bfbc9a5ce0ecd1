package handlers

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Sockets holds what the container's tasks have done that concerns the credentials of messages:
// SCM_CREDENTIALS of unix(7). Its methods may be called by several threads at once.
type Sockets struct {
	mu      sync.Mutex // for senders
	records *SocketRecords
}

// SocketRecords is shared memory that outlives a worker. Memory of zeros is empty.
type SocketRecords struct {
	passed atomic.Uint32 // 1: a task has set SO_PASSCRED
	tokens atomic.Uint32 // 1: a message with a token has been sent
	// senders has what is known of the last processes that made a notified call since passed
	// is set. A message may outlive the process that has sent it.
	senders [maxSenders]sender
}

// maxSenders is how many processes are remembered. A process displaces another one if their
// ids are the same modulo maxSenders.
const maxSenders = 1024

// sender is a process that may have sent a message.
type sender struct {
	pid      uint32 // in the supervisor's PID namespace
	seen     int32  // in its own PID namespace
	uid, gid uint32 // its real ids, which the kernel attaches to messages
}

// NewSockets returns the Sockets of a container whose shared memory is records.
func NewSockets(records *SocketRecords) *Sockets { return &Sockets{records: records} }

// pass notes that a task has set SO_PASSCRED.
func (s *Sockets) pass() { s.records.passed.Store(1) }

// passed reports whether any task has set SO_PASSCRED.
func (s *Sockets) passed() bool { return s.records.passed.Load() != 0 }

// sendToken notes that a message with a token may be on its way.
func (s *Sockets) sendToken() { s.records.tokens.Store(1) }

// tokens reports whether there may be messages with tokens.
func (s *Sockets) tokens() bool { return s.records.tokens.Load() != 0 }

// find returns what is known of the process pid.
func (s *Sockets) find(pid uint32) (found sender, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found = s.records.senders[pid%maxSenders]
	return found, found.pid == pid
}

// note remembers a process.
func (s *Sockets) note(p sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records.senders[p.pid%maxSenders] = p
}

// noteSender remembers the caller, whose identity is known, because it may end before its
// messages are received. Nobody asks before a socket passes credentials.
func (c *Call) noteSender() {
	if !c.Sockets.passed() {
		return
	}
	now := sender{pid: c.PID, uid: c.self.UID.Real, gid: c.self.GID.Real}
	old, ok := c.Sockets.find(c.PID)
	if ok && old.uid == now.uid && old.gid == now.gid {
		return
	}
	seen, e := c.Target.SeenPID(c.PID)
	if e != 0 {
		return // it is gone
	}
	now.seen = seen
	c.Sockets.note(now)
}

// senderOf returns the real ids of the process that the kernel names as the sender of a message,
// by the supervisor's number. The process may have ended. The seen id is 0 if the process is
// alive, and for the caller to look up. Ok is false if nothing is known of it.
func (c *Call) senderOf(pid uint32) (p sender, ok bool) {
	s, e := c.Identities.Get(pid)
	if e == unix.ESRCH {
		return c.Sockets.find(pid)
	}
	return sender{pid: pid, uid: s.UID.Real, gid: s.GID.Real}, e == 0
}
