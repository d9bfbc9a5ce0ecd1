// Package unotify is the kernel's seccomp user notification interface: the
// structures of <linux/seccomp.h>, and one small function for each operation
// on a listener. It knows nothing of what the notifications mean.
//
// See seccomp_unotify(2) and seccomp(2).
package unotify

// Notif is struct seccomp_notif: one system call that waits for an answer.
type Notif struct {
	ID    uint64 // cookie of this notification, unique in its listener
	PID   uint32 // thread id of the caller, in the PID namespace of the receiver
	Flags uint32 // always 0
	Data  Data
}

// Data is struct seccomp_data: the system call as the filter saw it.
type Data struct {
	NR   int32  // number of the system call
	Arch uint32 // AUDIT_ARCH_* of the calling convention
	IP   uint64 // instruction pointer of the caller
	Args [6]uint64
}

// Resp is struct seccomp_notif_resp: the answer to one notification.
type Resp struct {
	ID    uint64 // Notif.ID of the notification answered
	Val   int64  // return value; must be 0 with FlagContinue
	Error int32  // negated errno, or 0; must be 0 with FlagContinue
	Flags uint32 // 0 or FlagContinue
}

// sizes is struct seccomp_notif_sizes.
type sizes struct {
	Notif, Resp, Data uint16
}
