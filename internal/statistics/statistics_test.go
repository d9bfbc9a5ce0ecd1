package statistics

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newFile returns a file of this process like the journal: counters after another page.
func newFile(t *testing.T) (fd int, offset int64) {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	offset = 1 << 16
	if err := unix.Ftruncate(fd, offset+Size); err != nil {
		t.Fatal(err)
	}
	return fd, offset
}

// What a worker counts, and the next one, a reader sees.
func TestCounters(t *testing.T) {
	fd, offset := newFile(t)
	if err := Serve(os.NewFile(uintptr(fd), "test"), func() Description { return Description{"box", []uint64{7}} }); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(os.Getpid()); !errors.Is(err, ErrNoCounters) {
		t.Errorf("before the first worker: %v, want %v", err, ErrNoCounters)
	}
	started := time.Now()
	first, err := Map(fd, offset, Facts{Started: started, Session: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first.Count(Call{Number: 4}, false, true, 3*time.Microsecond)
	second, err := Map(fd, offset, Facts{Started: started.Add(time.Hour), Session: true, Accelerate: true})
	if err != nil {
		t.Fatal(err)
	}
	second.Count(Call{Number: 4}, true, false, 0)
	second.Count(Call{Number: 4, I386: true}, false, false, 0)
	second.Count(Call{Number: -1}, false, false, 0)
	second.Count(Call{Number: 0x40000004}, false, false, 0) // x32
	second.CountAccelerated()
	s := r.Read()
	if r.ID != "box" || r.Keeper != os.Getpid() || len(r.Namespaces) != 1 || r.Namespaces[0] != 7 {
		t.Errorf("the keeper says %+v", r)
	}
	if !s.Started.Equal(started) || !s.Session || !s.Accelerate || s.Accelerated != 1 {
		t.Errorf("the facts are %+v", s)
	}
	want := map[Call]Counts{
		{Number: 4}:             {Calls: 2, Errors: 1, Kernel: 1, Timed: 1, Time: 3 * time.Microsecond},
		{Number: 4, I386: true}: {Calls: 1},
	}
	if len(s.Calls) != len(want) {
		t.Errorf("counted: %v", s.Calls)
	}
	for call, n := range want {
		if s.Calls[call] != n {
			t.Errorf("%v: %+v, want %+v", call, s.Calls[call], n)
		}
	}
	// A program of another version.
	first.layout.Store(currentLayout + 1)
	if _, err := Open(os.Getpid()); !errors.Is(err, ErrNoCounters) {
		t.Errorf("with another layout: %v, want %v", err, ErrNoCounters)
	}
}

func TestPrintSummary(t *testing.T) {
	s := Snapshot{Calls: map[Call]Counts{
		{Number: 1}:             {Calls: 4, Errors: 1, Timed: 2, Time: 20 * time.Microsecond},
		{Number: 2}:             {Calls: 2, Kernel: 2, Timed: 2, Time: 10 * time.Microsecond},
		{Number: 9, I386: true}: {Calls: 1, Timed: 1, Time: 50 * time.Microsecond},
		{Number: 3}:             {Calls: 7},
	}}
	names := map[Call]string{{Number: 1}: "chown", {Number: 2}: "stat", {Number: 9, I386: true}: "stat", {Number: 3}: "open"}
	var b strings.Builder
	if err := PrintSummary(&b, s.ByName(func(c Call) string { return names[c] })); err != nil {
		t.Fatal(err)
	}
	const want = `% time     seconds  usecs/call     calls    errors    kernel syscall
------ ----------- ----------- --------- --------- --------- ----------------
 60.00    0.000060          20         3                   2 stat
 40.00    0.000040          10         4         1           chown
  0.00    0.000000           0         7                     open
------ ----------- ----------- --------- --------- --------- ----------------
100.00    0.000100           7        14         1         2 total
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	if err := PrintSummary(&b, nil); err != nil || !strings.HasSuffix(b.String(), "100.00    0.000000           0         0                     total\n") {
		t.Errorf("without calls: %v\n%s", err, b.String())
	}
}

// A keeper that does not answer is named, and does not keep the others from being seen. What has already
// asked it does not make the next one wait longer.
func TestSilent(t *testing.T) {
	address := fmt.Sprintf("%s%d/silent", prefix, os.Getpid())
	l, err := net.ListenUnix(network, &net.UnixAddr{Net: network, Name: address})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 { // connections that nobody accepts
		c, err := net.DialUnix(network, nil, l.Addr().(*net.UnixAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	names, err := addresses()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(names, "\n")+"\n", address+"\n"); n != 1 {
		t.Errorf("the address is listed %d times", n)
	}
	defer func(before time.Duration) { patience = before }(patience)
	patience = time.Nanosecond
	c, err := dial(address)
	var s *Silent
	if !errors.As(err, &s) || s.Keeper != os.Getpid() || s.Stopped || !strings.Contains(err.Error(), "hangs") {
		t.Errorf("%v, %v", c, err)
	}
}
