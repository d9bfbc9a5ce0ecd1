package main

import (
	"strings"
	"testing"
)

// A shrunk program must not contain anything that does not matter for the difference.
func TestShrink(t *testing.T) {
	p, err := parse(`chroot
1 mkdirat AT_FDCWD "d1" 0755
1 fork 2
2 openat AT_FDCWD "d1/a" O_RDWR|O_CREAT|O_APPEND 0644 -> f0
1 getuid
2 fchown f0 1000 1001
1 umask 022
2 fstat f0 &
`)
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	got := shrink(p, func(q program) bool {
		runs++
		s := q.String()
		return strings.Contains(s, "O_CREAT") && strings.Contains(s, "fchown f0") && strings.Contains(s, "fstat")
	})
	want := "1 openat 0 0 O_CREAT 0 -> f0\n1 fchown f0 0 0\n1 fstat 0 &\n"
	if got.String() != want {
		t.Errorf("shrunk to\n%s, not\n%s", got, want)
	}
	if runs > 200 {
		t.Errorf("%d runs", runs)
	}
}
