package perm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
)

func TestLease(t *testing.T) {
	lender, fowner := user(8), user(8)
	lender.Effective = 1 << unix.CAP_LEASE
	fowner.Effective = 1 << unix.CAP_FOWNER
	for rule, test := range map[string]struct {
		c    cred.Credentials
		want bool
	}{
		"a file whose UID (owner) matches the filesystem UID of the process": {user(7), true},
		"and only that": {user(8), false},
		"A process with the CAP_LEASE capability may take out leases on arbitrary files": {lender, true},
		"CAP_FOWNER is not enough": {fowner, false},
		"root":                     {cred.Root(), true},
	} {
		if got := perm.Lease(test.c, file(7, 7, 0o644)); got != test.want {
			t.Errorf("%s: %v, want %v", rule, got, test.want)
		}
	}
}
