package perm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
)

// caller returns the credentials of a user with these ids and capabilities.
func caller(uid, gid uint32, caps ...int) cred.Credentials {
	c := cred.Credentials{
		UID: cred.IDs{Real: uid, Effective: uid, Saved: uid, FS: uid},
		GID: cred.IDs{Real: gid, Effective: gid, Saved: gid, FS: gid},
	}
	for _, capability := range caps {
		c.Effective |= 1 << capability
	}
	return c
}

// object belongs to the user 7 and the group 70; the user 8 in the group 80 has created it.
func object(mode uint32) perm.IPC { return perm.IPC{UID: 7, GID: 70, CUID: 8, CGID: 80, Mode: mode} }

func TestIPCAccess(t *testing.T) {
	const read, write = perm.Read, perm.Write
	realOnly := caller(9, 90)
	realOnly.UID.Real, realOnly.UID.FS = 7, 7
	fsgid := caller(9, 90)
	fsgid.GID.FS = 70
	member := caller(9, 90)
	member.Groups = []uint32{5, 80}
	for rule, test := range map[string]struct {
		c    cred.Credentials
		mode uint32
		want uint32
		e    unix.Errno
	}{
		"0400 Read by user":                             {caller(7, 90), 0o400, read, 0},
		"0200 Write by user":                            {caller(7, 90), 0o200, write, 0},
		"and not read":                                  {caller(7, 90), 0o200, read, unix.EACCES},
		"all permissions are needed":                    {caller(7, 90), 0o400, read | write, unix.EACCES},
		"the creator is a user, too":                    {caller(8, 90), 0o600, read | write, 0},
		"the effective user ID counts":                  {realOnly, 0o600, read, unix.EACCES},
		"0040 Read by group":                            {caller(9, 70), 0o040, read, 0},
		"0020 Write by group":                           {caller(9, 70), 0o020, write, 0},
		"the creator's group":                           {caller(9, 80), 0o060, read | write, 0},
		"supplementary groups":                          {member, 0o060, read | write, 0},
		"the file system group":                         {fsgid, 0o060, read, 0},
		"0004 Read by others":                           {caller(9, 90), 0o004, read, 0},
		"0002 Write by others":                          {caller(9, 90), 0o002, write, 0},
		"others do not have the user's":                 {caller(9, 90), 0o770, read, unix.EACCES},
		"the user does not have the others'":            {caller(7, 70), 0o066, read, unix.EACCES},
		"the group does not have the others'":           {caller(9, 70), 0o606, read, unix.EACCES},
		"SHM_EXEC: execute permission":                  {caller(7, 90), 0o600, read | perm.Exec, unix.EACCES},
		"SHM_EXEC: granted":                             {caller(7, 90), 0o700, read | perm.Exec, 0},
		"no permission is always granted":               {caller(9, 90), 0, 0, 0},
		"CAP_IPC_OWNER":                                 {caller(9, 90, unix.CAP_IPC_OWNER), 0, 7, 0},
		"CAP_SYS_ADMIN and CAP_DAC_OVERRIDE are others": {caller(9, 90, unix.CAP_SYS_ADMIN, unix.CAP_DAC_OVERRIDE), 0, read, unix.EACCES},
		"root without capabilities":                     {caller(0, 0), 0o600, read, unix.EACCES},
		"flags of the mode do not count":                {caller(9, 90), 0o3600, read, unix.EACCES},
	} {
		if e := perm.IPCAccess(test.c, object(test.mode), test.want); e != test.e {
			t.Errorf("%s: %v, want %v", rule, e, test.e)
		}
	}
}

// The flags of shmget(2) ask for what their bits say, in whichever class.
func TestIPCRequest(t *testing.T) {
	for flags, want := range map[uint32]uint32{
		0: 0, 0o600: 6, 0o400: 4, 0o040: 4, 0o004: 4, 0o200: 2, 0o420: 6, 0o777: 7, 0o1000 | 0o2000: 0, 0o1644: 6,
	} {
		if got := perm.IPCRequest(flags); got != want {
			t.Errorf("flags %o: %o, want %o", flags, got, want)
		}
	}
}

func TestIPCManage(t *testing.T) {
	for rule, test := range map[string]struct {
		c cred.Credentials
		e unix.Errno
	}{
		"the owner (found in shm_perm.uid)":    {caller(7, 90), 0},
		"the creator (found in shm_perm.cuid)": {caller(8, 90), 0},
		"not that of the creator or the owner": {caller(9, 70), unix.EPERM},
		"CAP_SYS_ADMIN":                        {caller(9, 90, unix.CAP_SYS_ADMIN), 0},
		"CAP_IPC_OWNER is not enough":          {caller(9, 90, unix.CAP_IPC_OWNER), unix.EPERM},
		"root without capabilities":            {caller(0, 0), unix.EPERM},
	} {
		if e := perm.IPCManage(test.c, object(0o777)); e != test.e {
			t.Errorf("%s: %v, want %v", rule, e, test.e)
		}
	}
}

func TestIPCLock(t *testing.T) {
	for rule, test := range map[string]struct {
		c       cred.Credentials
		lock    bool
		memlock uint64
		e       unix.Errno
	}{
		"its effective UID matches the owner":               {caller(7, 90), true, 1, 0},
		"or creator UID of the segment":                     {caller(8, 90), true, 1, 0},
		"and (for SHM_LOCK) its RLIMIT_MEMLOCK is nonzero":  {caller(7, 90), true, 0, unix.EPERM},
		"SHM_UNLOCK does not depend on it":                  {caller(7, 90), false, 0, 0},
		"another user":                                      {caller(9, 70), false, 1, unix.EPERM},
		"CAP_IPC_LOCK":                                      {caller(9, 90, unix.CAP_IPC_LOCK), true, 0, 0},
		"CAP_IPC_OWNER and CAP_SYS_ADMIN are not enough":    {caller(9, 90, unix.CAP_IPC_OWNER, unix.CAP_SYS_ADMIN), true, 1, unix.EPERM},
		"the owner needs no capability even with the limit": {caller(7, 90), true, unix.RLIM_INFINITY, 0},
	} {
		if e := perm.IPCLock(test.c, object(0), test.lock, test.memlock); e != test.e {
			t.Errorf("%s: %v, want %v", rule, e, test.e)
		}
	}
}
