package bundle

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

var testOptions = Options{UID: 4242, GID: 4243}

func rewrite(t *testing.T, config string, opts Options) (string, specs.Spec) {
	t.Helper()
	text, err := Rewrite([]byte(config), opts, testRows)
	if err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	return string(text), spec
}

func defaultSpec(t *testing.T) string {
	t.Helper()
	text, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRewriteDefault(t *testing.T) {
	opts := testOptions
	opts.Socket = "/run/s.sock"
	text, spec := rewrite(t, defaultSpec(t), opts)
	if want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 4242, Size: 1}}; !slices.Equal(spec.Linux.UIDMappings, want) {
		t.Errorf("uidMappings %v, want %v", spec.Linux.UIDMappings, want)
	}
	if want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 4243, Size: 1}}; !slices.Equal(spec.Linux.GIDMappings, want) {
		t.Errorf("gidMappings %v, want %v", spec.Linux.GIDMappings, want)
	}
	if got := spec.Linux.Seccomp; got.ListenerPath != "/run/s.sock" || got.DefaultAction != specs.ActAllow || got.Flags != nil {
		t.Errorf("seccomp %+v", got)
	}
	if !strings.HasPrefix(text, "{\n\t\"ociVersion\"") || !strings.HasSuffix(text, "}\n") {
		t.Error("not indented with tabs like runc's")
	}
	again, _ := rewrite(t, text, opts)
	if again != text {
		t.Errorf("rewriting again gives\n%s\nfor\n%s", again, text)
	}
}

// TestRewritePreserves rewrites a configuration in which the user has set everything. Nothing
// may change except the rules.
func TestRewritePreserves(t *testing.T) {
	const config = `{
  "zzz": 12345678901234567890123,
  "ociVersion": "1.2.3",
  "linux": {
    "namespaces": [
      {
        "type": "user",
        "new": "<&>"
      },
      {
        "type": "network"
      }
    ],
    "uidMappings": [
      {
        "containerID": 1000,
        "hostID": 4242,
        "size": 1,
        "x": true
      }
    ],
    "gidMappings": [
      {
        "containerID": 5,
        "hostID": 4243,
        "size": 1
      }
    ],
    "resources": {
      "y": []
    },
    "seccomp": {
      "defaultAction": "SCMP_ACT_ERRNO",
      "architectures": [
        "SCMP_ARCH_X86_64"
      ],
      "defaultErrnoRet": 38,
      "future": 1.50,
      "syscalls": [%s
        {
          "comment": "mine",
          "names": [
            "read"%s
          ],
          "action": "SCMP_ACT_ALLOW"
        }
      ]
    }
  },
  "mounts": [
    {
      "destination": "/dev/pts",
      "type": "devpts",
      "options": [
        "nosuid",
        "gid=5"
      ],
      "z": null
    },
    {
      "destination": "/sys",
      "type": "sysfs"
    }
  ],
  "process": {
    "noNewPrivileges": true,
    "user": {
      "uid": 1000,
      "gid": 5
    }
  }
}
`
	in := strings.Replace(strings.Replace(config, "%s", "", 1), "%s", ",\n            \"chown\"", 1)
	want := strings.Replace(strings.Replace(config, "%s", `
        {
          "names": [
            "chown"
          ],
          "action": "SCMP_ACT_NOTIFY"
        },`, 1), "%s", "", 1)
	got, _ := rewrite(t, in, testOptions)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRewriteCompact(t *testing.T) {
	got, _ := rewrite(t, `{"ociVersion":"1.0.2","linux":{}}`, testOptions)
	if strings.Contains(got, "\n") {
		t.Errorf("a single line became several: %s", got)
	}
}

func TestRewriteParts(t *testing.T) {
	const mounts = `"mounts": [{"type": "devpts", "options": ["gid=5", "mode=0620"]}, {"type": "sysfs", "source": "sysfs", "options": ["ro"]}, {"type": "tmpfs", "options": ["uid=0", "gid=0"]}]`
	noUserns := Options{UID: 4242, GID: 4243, NoUserNamespace: true}
	for _, tt := range []struct {
		name, config string
		opts         Options
		check        func(specs.Spec) bool
	}{
		{"a user namespace is added", `{"linux": {"namespaces": [{"type": "pid"}]}}`, testOptions, func(s specs.Spec) bool {
			return slices.Equal(s.Linux.Namespaces, []specs.LinuxNamespace{{Type: "pid"}, {Type: "user"}}) && s.Linux.UIDMappings[0].HostID == 4242
		}},
		{"a range of ids becomes one", `{"linux": {"uidMappings": [{"containerID": 0, "hostID": 4242, "size": 1}, {"containerID": 1, "hostID": 100000, "size": 65536}]}}`, testOptions, func(s specs.Spec) bool {
			return len(s.Linux.UIDMappings) == 1 && s.Linux.UIDMappings[0].Size == 1
		}},
		{"an existing user namespace is joined", `{"linux": {"namespaces": [{"type": "user", "path": "/proc/1/ns/user"}]}}`, testOptions, func(s specs.Spec) bool {
			return s.Linux.Namespaces[0].Path != "" && s.Linux.UIDMappings == nil
		}},
		{"--no-userns", `{"linux": {"namespaces": [{"type": "user"}, {"type": "pid"}], "uidMappings": [{"hostID": 1, "size": 1}]}}`, noUserns, func(s specs.Spec) bool {
			return slices.Equal(s.Linux.Namespaces, []specs.LinuxNamespace{{Type: "pid"}}) && s.Linux.UIDMappings == nil
		}},
		{"mounts of the host's network namespace", "{" + mounts + "}", testOptions, func(s specs.Spec) bool {
			return slices.Equal(s.Mounts[0].Options, []string{"mode=0620"}) &&
				s.Mounts[1].Type == "none" && s.Mounts[1].Source == "/sys" && slices.Equal(s.Mounts[1].Options, []string{"rbind", "ro"}) &&
				slices.Equal(s.Mounts[2].Options, []string{"uid=0", "gid=0"})
		}},
		{"mounts with a new network namespace", `{"linux": {"namespaces": [{"type": "network"}]}, ` + mounts + "}", testOptions, func(s specs.Spec) bool {
			return s.Mounts[1].Type == "sysfs"
		}},
		{"--wait-killable", `{}`, Options{WaitKillable: true}, func(s specs.Spec) bool {
			return slices.Equal(s.Linux.Seccomp.Flags, []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv})
		}},
		{"--wait-killable with flags", `{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": []}}}`, Options{WaitKillable: true}, func(s specs.Spec) bool {
			return slices.Equal(s.Linux.Seccomp.Flags, []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if text, spec := rewrite(t, tt.config, tt.opts); !tt.check(spec) {
				t.Error(text)
			}
		})
	}
}

func TestRewriteErrors(t *testing.T) {
	withSocket := testOptions
	withSocket.Socket = "/run/mine.sock"
	for _, tt := range []struct{ config, want string }{
		{`{`, "unexpected end"},
		{`[]`, "must be an object"},
		{`{"linux": 5}`, "linux: must be an object"},
		{`{"mounts": [{"options": 5}]}`, "mounts[0].options"},
		{`{"linux": {"seccomp": {"listenerPath": "/run/other.sock"}}}`, "linux.seccomp: listenerPath already names another seccomp agent, /run/other.sock"},
	} {
		if _, err := Rewrite([]byte(tt.config), withSocket, testRows); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want %q", tt.config, err, tt.want)
		}
	}
}

func TestWrite(t *testing.T) {
	bundle := t.TempDir()
	path := filepath.Join(bundle, "config.json")
	if err := Write(bundle, testOptions, testRows); err != nil {
		t.Fatal(err)
	}
	// Now config.json exists: it is a symbolic link to a file with a mode of its own.
	real := filepath.Join(t.TempDir(), "real.json")
	if err := os.Rename(path, real); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(real, 0o604); err != nil {
		t.Fatal(err)
	}
	if err := Write(bundle, Options{UID: 7, GID: 7}, testRows); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(real)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o604 {
		t.Errorf("mode %v", info.Mode())
	}
	if text, err := os.ReadFile(real); err != nil || !strings.Contains(string(text), `"hostID": 7,`) {
		t.Errorf("not rewritten (%v): %s", err, text)
	}
	entries, err := os.ReadDir(bundle)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
	if err := Write(filepath.Join(bundle, "no"), testOptions, testRows); err == nil || !strings.Contains(err.Error(), "create it first") {
		t.Errorf("got error %v", err)
	}
	if err := Write(real, testOptions, testRows); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("got error %v", err)
	}
}
