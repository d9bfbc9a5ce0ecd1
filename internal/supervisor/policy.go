package supervisor

import "github.com/rootless-containers/subuidless/internal/unotify"

// initialReceivers is how many threads receive from a listener at first.
const initialReceivers = 1

// policy decides how the receivers of a listener and its tasks wake each other.
type policy struct {
	fd int
}

func (p *policy) init(fd int) {
	p.fd = fd
	unotify.SetSyncWakeUp(fd, true)
}

// received is called for each notification.
func (p *policy) received(*receiver) {}
