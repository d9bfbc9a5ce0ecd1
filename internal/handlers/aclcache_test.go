package handlers

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

func TestWithoutACL(t *testing.T) {
	now := sys.CoarseNow()
	at := func(ino uint64, age int64) *unix.Stat_t {
		return &unix.Stat_t{Dev: 1, Ino: ino, Ctim: unix.NsecToTimespec(now - age)}
	}
	var w noACLCache
	if w.contains(at(7, 10*granularity)) {
		t.Error("knows of an inode that nobody has asked about")
	}
	w.add(at(7, 10*granularity), unix.ENODATA)
	if !w.contains(at(7, 10*granularity)) {
		t.Error("has forgotten it")
	}
	for name, other := range map[string]*unix.Stat_t{
		"changed since": at(7, granularity), "another inode": at(7+uint64(len(w)), 10*granularity),
		"another file system": {Dev: 2, Ino: 7, Ctim: at(7, 10*granularity).Ctim},
	} {
		if w.contains(other) {
			t.Error("takes for the same:", name)
		}
	}
	for name, e := range map[string]unix.Errno{"has one": 0, "cannot tell": unix.EACCES} {
		if w.add(at(8, 10*granularity), e); w.contains(at(8, 10*granularity)) {
			t.Error("notes an inode that", name)
		}
	}
	if w.add(at(9, 0), unix.ENODATA); w.contains(at(9, 0)) {
		t.Error("notes an inode that may get an ACL within the same tick")
	}
}
