package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/rootless-containers/subuidless/internal/statistics"
)

// calls are the emulated system calls of several containers.
type calls struct {
	mu   sync.Mutex
	list []statistics.Named
}

// add adds those of one container.
func (c *calls) add(list []statistics.Named) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = statistics.Merge(c.list, list)
}

// print writes a table of all.
func (c *calls) print(w io.Writer) error {
	if c.list == nil {
		_, err := fmt.Fprintln(w, "subuidless: --trace-summary: no RUN command had a supervisor of this build")
		return err
	}
	return statistics.PrintSummary(w, c.list)
}
