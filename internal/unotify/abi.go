// Package unotify is the kernel's interface for seccomp user notification: the
// structures of <linux/seccomp.h>, and a function for each operation on a listener.
// It does not interpret notifications.
//
// See seccomp_unotify(2) and seccomp(2).
package unotify

// Notif is struct seccomp_notif: a notification, one system call that waits for an
// answer.
type Notif struct {
	ID    uint64 // unique for the listener
	PID   uint32 // thread id of the target, in the PID namespace of the receiver
	Flags uint32 // always 0
	Data  Data
}

// Data is struct seccomp_data: the system call as the filter has seen it.
type Data struct {
	NR   int32  // number of the system call
	Arch uint32 // AUDIT_ARCH_* of the calling convention
	IP   uint64 // instruction pointer of the target
	Args [6]uint64
}

// Resp is struct seccomp_notif_resp: the answer to one notification.
type Resp struct {
	ID    uint64 // Notif.ID of the notification
	Val   int64  // return value; must be 0 with FlagContinue
	Error int32  // negated errno, or 0; must be 0 with FlagContinue
	Flags uint32 // 0 or FlagContinue
}

// sizes is struct seccomp_notif_sizes.
type sizes struct {
	Notif, Resp, Data uint16
}
