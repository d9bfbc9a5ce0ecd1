package target

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// MessageQueue has the arguments of mq_open(2).
type MessageQueue struct {
	Name    []byte // NUL-terminated, without the slash that mq_open(3) requires
	Flags   uint32
	Mode    uint32   // of a new queue
	Attr    [8]int64 // struct mq_attr
	HasAttr bool
}

func (m *MessageQueue) open() (int, unix.Errno) {
	var attr *[8]int64
	if m.HasAttr {
		attr = &m.Attr
	}
	return sys.MqOpen(&m.Name[0], m.Flags, m.Mode, attr)
}

// OpenMessageQueue opens or creates a message queue in the namespace of the last EnterIPC, with
// the umask of the task. The descriptor is close-on-exec.
func (t *Task) OpenMessageQueue(m *MessageQueue) (int, unix.Errno) {
	var mask uint32
	if m.Flags&unix.O_CREAT != 0 {
		var e unix.Errno
		if mask, e = t.umask(); e != 0 {
			return -1, e
		}
	}
	if !t.ipcElsewhere {
		sys.Umask(mask)
		return m.open()
	}
	var fd int
	e := t.onNewThread(func() unix.Errno {
		e := sys.Unshare(unix.CLONE_FS) // the umask belongs to all threads otherwise
		if e == 0 {
			sys.Umask(mask)
			fd, e = m.open()
		}
		return e
	})
	return fd, e
}
