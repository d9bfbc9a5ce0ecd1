// Package freeid finds ids for tests. They have no name, subordinate ids or processes.
package freeid

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// first is where the search begins. It is above the id of the benchmarks.
const first = 4300

// Reserve returns an id that is not in use as a user or group id. Concurrent test runs
// get other ids until the reservation is closed.
func Reserve() (id int, reservation io.Closer, err error) {
	var taken []byte
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid"} {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			return 0, nil, err
		}
		taken = append(append(taken, b...), '\n')
	}
	for id := first; id < first+1000; id++ {
		s := strconv.Itoa(id)
		if bytes.Contains(taken, []byte(":"+s+":")) || bytes.Contains(taken, []byte("\n"+s+":")) || runs(s) {
			continue
		}
		// An abstract name, which is free again when its socket is closed.
		listener, err := net.Listen("unix", "@subuidless-test-"+s)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		return id, listener, err
	}
	return 0, nil, fmt.Errorf("no free id among the thousand from %d", first)
}

// runs reports whether a process has this real user id.
func runs(id string) bool {
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		panic(err) // a malformed pattern
	}
	for _, file := range files {
		// The process may have ended meanwhile.
		if status, err := os.ReadFile(file); err == nil && bytes.Contains(status, []byte("\nUid:\t"+id+"\t")) {
			return true
		}
	}
	return false
}
