// Package freeid finds ids for tests: without a name, subordinate ids or processes.
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

// first is where the search begins: not at the id of the benchmarks.
const first = 4300

// Reserve returns an id that nobody has. Other runs of tests take another one until
// the reservation is closed.
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
		// An abstract name, which ends with its socket.
		listener, err := net.Listen("unix", "@subuidless-test-"+s)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		return id, listener, err
	}
	return 0, nil, fmt.Errorf("no free id from %d on", first)
}

// runs tells whether a process has this real user id.
func runs(id string) bool {
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		panic(err) // a malformed pattern
	}
	for _, file := range files {
		// A process that has ended meanwhile is none.
		if status, err := os.ReadFile(file); err == nil && bytes.Contains(status, []byte("\nUid:\t"+id+"\t")) {
			return true
		}
	}
	return false
}
