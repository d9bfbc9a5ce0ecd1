package supervisor

import "github.com/rootless-containers/subuidless/internal/unotify"

// listenerSet holds the descriptors of listeners by their index: see requestFDs. Nil means that
// there is none.
type listenerSet [maxListeners][]int

// any returns the descriptors of a listener, or nil if there is none.
func (s *listenerSet) any() []int {
	for _, fds := range s {
		if fds != nil {
			return fds
		}
	}
	return nil
}

// living returns the listeners whose filters still apply to a task.
func (s *listenerSet) living() (l listenerSet) {
	for i, fds := range s {
		if fds != nil && !unotify.HungUp(fds[fdListener]) {
			l[i] = fds
		}
	}
	return l
}

// handOver sends what a keeper must hold to the new keeper at c: m with the files (see adoptFDs),
// and the listeners.
func (c conn) handOver(m message, files []int, listeners *listenerSet) error {
	for _, fds := range listeners {
		if fds != nil {
			m.Adopt++
		}
	}
	if err := c.request(m, files...); err != nil {
		return err
	}
	for i, fds := range listeners {
		if fds == nil {
			continue
		}
		if err := c.request(message{Index: i}, fds...); err != nil {
			return err
		}
	}
	return nil
}
