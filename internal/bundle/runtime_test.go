package bundle

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

func TestRewriteForRuntime(t *testing.T) {
	rows := []syscalls.Row{{Name: "chown", Support: syscalls.Emulated}}
	const config = `{"root":{"path":"rootfs"},"process":{"env":["A=b"],"user":{"uid":33,"gid":33}},` +
		`"mounts":[{"type":"bind","source":"x","options":["rbind"]},{"type":"tmpfs","source":"tmpfs"},{"type":"sysfs","source":"sysfs"},{"type":"proc","source":"proc","options":["nosuid"]}],` +
		`"linux":{"cgroupsPath":"/x","resources":{},"namespaces":[{"type":"network","path":"/net"},{"type":"uts","path":"/net"}]}}`
	opts := RuntimeOptions{
		Options: Options{NoUserNamespace: true, Socket: "/s"}, Dir: "/bundle", NoCgroups: true,
		Owns:      func(_ specs.LinuxNamespaceType, path string) bool { return path == "/net" },
		Inherited: func(kind specs.LinuxNamespaceType, _ string) bool { return kind == specs.UTSNamespace },
		Home:      func(uint32) string { return "/var/www" },
	}
	check := func(want, absent []string) {
		t.Helper()
		got, err := RewriteForRuntime([]byte(config), opts, rows)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(string(got), text) {
				t.Errorf("got\n%s\nwithout %s", got, text)
			}
		}
		for _, text := range absent {
			if strings.Contains(string(got), text) {
				t.Errorf("got\n%s\nwith %s", got, text)
			}
		}
	}
	check([]string{`"path":"/bundle/rootfs"`, `"source":"/bundle/x"`, `"source":"tmpfs"`, `"source":"sysfs"`, `"A=b","HOME=/var/www"`, `"uid":0`, "SCMP_ACT_NOTIFY", `"listenerPath":"/s"`, `"network","path":"/net"`},
		[]string{"cgroupsPath", "resources", "uts"})
	opts.Owns = func(specs.LinuxNamespaceType, string) bool { return false }
	opts.NoCgroups = false
	check([]string{`"source":"/sys","options":["rbind"]`, `"source":"/proc","options":["rbind","nosuid"]`, "cgroupsPath", "resources"}, []string{`"source":"sysfs"`, `"source":"proc"`})
	opts.Supervised = true
	check([]string{`"path":"/bundle/rootfs"`, `"source":"/sys","options":["rbind"]`, `"uid":33`}, []string{"seccomp", "HOME"})
}

func TestRewriteForRuntimeSupervised(t *testing.T) {
	opts := RuntimeOptions{Supervised: true, Dir: "/bundle"}
	for _, seccomp := range []string{`{"listenerPath":"/x"}`, `{"defaultAction":"SCMP_ACT_NOTIFY"}`, `{"syscalls":[{"names":["chown"],"action":"SCMP_ACT_NOTIFY"}]}`} {
		if got, err := RewriteForRuntime([]byte(`{"linux":{"seccomp":`+seccomp+`}}`), opts, nil); err == nil {
			t.Errorf("%s: no error for a second agent, but %s", seccomp, got)
		}
	}
}

func TestRewriteProcess(t *testing.T) {
	got, user, err := RewriteProcess([]byte(`{"user":{"uid":33,"gid":34,"additionalGids":[35],"umask":18},"args":["x"],"unknown":1e400}`), func(uint32) string { return "/home" })
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"user":{"uid":0,"gid":0,"umask":18},"args":["x"],"unknown":1e400,"env":["HOME=/home"]}`; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if user.UID != 33 || user.GID != 34 || len(user.AdditionalGids) != 1 {
		t.Errorf("the user is %+v", user)
	}
	if _, _, err := RewriteProcess([]byte(`{"user":3}`), nil); err == nil {
		t.Error("no error for a process that is not valid")
	}
}
