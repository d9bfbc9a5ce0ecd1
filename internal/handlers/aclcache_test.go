package handlers

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

func TestNoACLCache(t *testing.T) {
	now := sys.CoarseNow()
	at := func(ino uint64, age int64) *unix.Stat_t {
		return &unix.Stat_t{Dev: 1, Ino: ino, Ctim: unix.NsecToTimespec(now - age)}
	}
	var w noACLCache
	if w.contains(at(7, 10*granularity)) {
		t.Error("contains an inode that was never added")
	}
	w.add(at(7, 10*granularity), unix.ENODATA)
	if !w.contains(at(7, 10*granularity)) {
		t.Error("does not contain what was added")
	}
	for name, other := range map[string]*unix.Stat_t{
		"changed since": at(7, granularity), "another inode": at(7+uint64(len(w)), 10*granularity),
		"another file system": {Dev: 2, Ino: 7, Ctim: at(7, 10*granularity).Ctim},
	} {
		if w.contains(other) {
			t.Error("taken for the same inode:", name)
		}
	}
	for name, e := range map[string]unix.Errno{"exists": 0, "cannot be read": unix.EACCES} {
		if w.add(at(8, 10*granularity), e); w.contains(at(8, 10*granularity)) {
			t.Error("adds an inode whose ACL", name)
		}
	}
	recent := at(9, -int64(time.Hour)) // however late this test goes on
	if w.add(recent, unix.ENODATA); w.contains(recent) {
		t.Error("adds an inode that may get an ACL within the same tick")
	}
}
