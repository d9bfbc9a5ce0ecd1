package userns

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	for _, tc := range []struct {
		err    error
		sysctl map[string]string
		want   string // a part of the reason; "": no reason
	}{
		{unix.ENOSPC, map[string]string{"user.max_user_namespaces": "0"}, "sysctl -w user.max_user_namespaces=15000"},
		{unix.ENOSPC, map[string]string{"user.max_user_namespaces": "5", "user.max_pid_namespaces": "0"}, "sysctl -w user.max_pid_namespaces=15000"},
		{unix.ENOSPC, map[string]string{"user.max_user_namespaces": "5"}, "limit of namespaces"},
		{unix.EUSERS, nil, "32 nested levels"},
		{unix.EPERM, map[string]string{"kernel.unprivileged_userns_clone": "0"}, "sysctl -w kernel.unprivileged_userns_clone=1"},
		{unix.EACCES, map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}, "AppArmor denies"},
		{unix.EPERM, map[string]string{"kernel.unprivileged_userns_clone": "1", "kernel.apparmor_restrict_unprivileged_userns": "0"}, "seccomp=unconfined"},
		{unix.EINVAL, nil, "CONFIG_USER_NS"},
		{unix.ENOENT, nil, ""},
	} {
		wrapped := fmt.Errorf("clone: %w", tc.err)
		got := explain(wrapped, func(name string) string { return tc.sysctl[name] })
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("explain(%v, %v) = %q, want it to contain %q", tc.err, tc.sysctl, got, tc.want)
		}
	}
}

func TestExplainKeepsTheError(t *testing.T) {
	if err := Explain(unix.ENOSPC); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Explain(ENOSPC) = %v, which does not wrap ENOSPC", err)
	}
	if err := Explain(unix.ENOENT); err != unix.ENOENT {
		t.Errorf("Explain(ENOENT) = %v, want it unchanged", err)
	}
}
