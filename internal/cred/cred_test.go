package cred_test

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// user returns the credentials of an ordinary user: all ids are uid.
func user(uid uint32) cred.Credentials {
	ids := cred.IDs{Real: uid, Effective: uid, Saved: uid, FS: uid}
	return cred.Credentials{UID: ids, GID: ids, Bounding: cred.AllCaps}
}

// setUserID returns the credentials of user in a set-user-ID program of owner.
func setUserID(uid, owner uint32) cred.Credentials {
	c := user(uid)
	c.UID.Effective, c.UID.Saved, c.UID.FS = owner, owner, owner
	return c
}

func keepingCaps(c cred.Credentials) cred.Credentials {
	c.Securebits |= cred.SecbitKeepCaps
	return c
}

const unchanged = ^uint32(0)

func TestUserIDs(t *testing.T) {
	permitted := func(c cred.Credentials) cred.Credentials { c.Permitted = cred.AllCaps; return c }
	for _, test := range []struct {
		rule  string
		from  cred.Credentials
		do    func(cred.Credentials) (cred.Credentials, unix.Errno)
		want  cred.Credentials
		errno unix.Errno
	}{
		{"setuid(2): If the calling process is privileged [...], the real UID and saved set-user-ID are also set.",
			cred.Root(), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setuid(7) },
			cred.Credentials{UID: user(7).UID, Bounding: cred.AllCaps}, 0},
		{"setuid(2): EPERM The user is not privileged [...] and uid does not match the real UID or saved set-user-ID",
			user(7), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setuid(0) }, user(7), unix.EPERM},
		{"setuid(2): This allows a set-user-ID (other than root) program to drop all of its user privileges",
			setUserID(7, 8), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setuid(7) },
			func() cred.Credentials { c := user(7); c.UID.Saved = 8; return c }(), 0},
		{"setuid(2): EINVAL The user ID specified in uid is not valid in this user namespace.",
			cred.Root(), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setuid(unchanged) }, cred.Root(), unix.EINVAL},
		{"setreuid(2): the saved set-user-ID will be set to the new effective user ID",
			setUserID(7, 8), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setreuid(8, 7) },
			cred.Credentials{UID: cred.IDs{Real: 8, Effective: 7, Saved: 7, FS: 7}, GID: user(7).GID, Bounding: cred.AllCaps}, 0},
		{"setreuid(2): the effective user ID is set to a value not equal to the previous real user ID",
			setUserID(7, 8), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setreuid(unchanged, 7) },
			func() cred.Credentials { c := user(7); c.UID.Saved = 8; return c }(), 0},
		{"setresuid(2): If one of the arguments equals -1, the corresponding value is not changed.",
			setUserID(7, 8), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setresuid(unchanged, 7, unchanged) },
			func() cred.Credentials { c := user(7); c.UID.Saved = 8; return c }(), 0},
		{"capabilities(7): If the effective user ID is changed from nonzero to 0, then the permitted set is copied to the effective set.",
			permitted(setUserID(0, 7)), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setresuid(unchanged, 0, unchanged) },
			func() cred.Credentials {
				c := permitted(setUserID(0, 7))
				c.UID.Effective, c.UID.FS, c.Effective = 0, 0, cred.AllCaps
				return c
			}(), 0},
		{"capabilities(7): Setting this flag allows a thread that has one or more 0 UIDs to retain capabilities in its permitted set",
			keepingCaps(cred.Root()), func(c cred.Credentials) (cred.Credentials, unix.Errno) { return c.Setuid(7) },
			cred.Credentials{UID: user(7).UID, Permitted: cred.AllCaps, Bounding: cred.AllCaps, Securebits: cred.SecbitKeepCaps}, 0},
	} {
		if got, e := test.do(test.from); !got.Equal(test.want) || e != test.errno {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v, %v", test.rule, got, e, test.want, test.errno)
		}
	}
}

// setfsuid(2): "On both success and failure, this call returns the previous filesystem user
// ID of the caller."
func TestSetfsuid(t *testing.T) {
	c, old := cred.Root().Setfsuid(7)
	if c.UID.FS != 7 || old != 0 {
		t.Errorf("became %d from %d, want 7 from 0", c.UID.FS, old)
	}
	if c.Capable(unix.CAP_DAC_OVERRIDE) || !c.Capable(unix.CAP_SETUID) {
		t.Errorf("effective %#x, want only the capabilities for files cleared", c.Effective)
	}
	if again, old := c.Setfsuid(unchanged); !again.Equal(c) || old != 7 {
		t.Errorf("setfsuid(-1): %+v, %d", again, old)
	}
	if back, _ := c.Setfsuid(0); !back.Equal(cred.Root()) {
		t.Errorf("back: %+v", back)
	}
}

func TestSetgroups(t *testing.T) {
	given := []uint32{9, 7, 8, 7}
	c, e := cred.Root().Setgroups(given)
	if want := []uint32{7, 7, 8, 9}; e != 0 || !slices.Equal(c.Groups, want) {
		t.Errorf("%v, %v; want %v", c.Groups, e, want)
	}
	if given[0] != 9 {
		t.Error("changed its argument")
	}
	if !c.InGroup(8) || c.InGroup(6) {
		t.Error("InGroup is wrong")
	}
	if _, e := cred.Root().Setgroups(make([]uint32, 65537)); e != unix.EINVAL {
		t.Errorf("more than NGROUPS_MAX: %v", e)
	}
	if _, e := user(7).Setgroups(nil); e != unix.EPERM {
		t.Errorf("without CAP_SETGID: %v", e)
	}
}

func TestExec(t *testing.T) {
	const rwx = unix.S_IFREG | 0o755
	netRaw := cred.FileCaps{Permitted: 1 << unix.CAP_NET_RAW, Effective: true}
	bounded := func(c cred.Credentials) cred.Credentials { c.Bounding &^= 1 << unix.CAP_NET_RAW; return c }
	root := cred.Root()
	root.UID = cred.IDs{Real: 7}
	root.GID = user(7).GID
	pinging := user(7)
	pinging.Permitted, pinging.Effective = netRaw.Permitted, netRaw.Permitted
	for _, test := range []struct {
		rule   string
		from   cred.Credentials
		file   cred.ExecFile
		want   cred.Credentials
		secure bool
		errno  unix.Errno
	}{
		{"nothing changes", user(7), cred.ExecFile{Mode: rwx}, user(7), false, 0},
		{"root stays root", cred.Root(), cred.ExecFile{Mode: rwx}, cred.Root(), false, 0},
		{"su is set-user-ID", user(7), cred.ExecFile{Mode: rwx | unix.S_ISUID}, root, true, 0},
		{"execve(2): the set-user-ID and set-group-ID bits are ignored [...] if the no_new_privs attribute is set",
			user(7), cred.ExecFile{Mode: rwx | unix.S_ISUID, NoNewPrivs: true}, user(7), false, 0},
		{"execve(2): the underlying filesystem is mounted nosuid",
			user(7), cred.ExecFile{Mode: rwx | unix.S_ISUID, NoSuid: true, Caps: &netRaw}, user(7), false, 0},
		{"inode(7): For a file that does not have the group execution bit [...] mandatory file/record locking",
			user(7), cred.ExecFile{GID: 8, Mode: unix.S_IFREG | 0o2705}, user(7), false, 0},
		{"ping has cap_net_raw=ep", user(7), cred.ExecFile{Mode: rwx, Caps: &netRaw}, pinging, true, 0},
		{"capabilities(7): did not obtain the full set of file permitted capabilities, then execve(2) fails with the error EPERM",
			bounded(user(7)), cred.ExecFile{Mode: rwx, Caps: &netRaw}, bounded(user(7)), false, unix.EPERM},
		{"capabilities(7): SECBIT_KEEP_CAPS which is always cleared",
			keepingCaps(user(7)), cred.ExecFile{Mode: rwx}, user(7), false, 0},
	} {
		got, secure, e := test.from.Exec(test.file)
		if !got.Equal(test.want) || secure != test.secure || e != test.errno {
			t.Errorf("%s\ngot  %+v, secure %v, %v\nwant %+v, secure %v, %v",
				test.rule, got, secure, e, test.want, test.secure, test.errno)
		}
	}
}

func TestMaySignal(t *testing.T) {
	for _, test := range []struct {
		name        string
		from, to    cred.Credentials
		sig         unix.Signal
		sameSession bool
		want        bool
	}{
		{"one's own", user(7), user(7), unix.SIGTERM, false, true},
		{"another's", user(7), user(8), unix.SIGTERM, true, false},
		{"another's, in the same session", user(7), user(8), unix.SIGCONT, true, true},
		{"another's, in another session", user(7), user(8), unix.SIGCONT, false, false},
		{"su, with the sender's real id", user(7), setUserID(7, 0), unix.SIGTERM, false, true},
		{"with CAP_KILL", cred.Root(), user(7), unix.SIGTERM, false, true},
	} {
		if got := cred.MaySignal(test.from, test.to, test.sig, test.sameSession); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestAllocs: handlers call these methods for each notification.
func TestAllocs(t *testing.T) {
	c, to := cred.Root(), user(7)
	c.Groups = []uint32{7, 8, 9}
	file := cred.ExecFile{UID: 7, Mode: unix.S_IFREG | 0o6755}
	if n := testing.AllocsPerRun(100, func() {
		c, _ := c.Setresuid(unchanged, 7, unchanged)
		c, _ = c.Setregid(7, unchanged)
		c, _ = c.Capset(0, cred.AllCaps, 0)
		c, _, _ = c.Exec(file)
		if !c.InGroup(8) || cred.MaySignal(to, c, unix.SIGTERM, false) == c.Equal(to) {
			t.Error("InGroup or MaySignal is wrong")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
