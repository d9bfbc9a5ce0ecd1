package bundle

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// engineRules returns, for each rule of a profile, its names, action, and includes.
func engineRules(t *testing.T, profile []byte) []string {
	t.Helper()
	var p struct {
		Syscalls []struct {
			Names    []string
			Action   specs.LinuxSeccompAction
			Includes struct{ Caps []string }
		}
	}
	if err := json.Unmarshal(profile, &p); err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, r := range p.Syscalls {
		rules = append(rules, strings.Join(append(append(slices.Clone(r.Names), strings.TrimPrefix(string(r.Action), "SCMP_ACT_")), r.Includes.Caps...), " "))
	}
	return rules
}

func TestEngineProfile(t *testing.T) {
	var rows []syscalls.Row
	for _, name := range []string{"chown", "setns", "chroot", "perf_event_open"} {
		rows = append(rows, syscalls.Row{Name: name, Support: syscalls.Emulated})
	}
	const profile = `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "archMap": [{"architecture": "SCMP_ARCH_X86_64"}], "syscalls": [
		{"names": ["reboot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "comment": "kept", "includes": {}},
		{"name": "read", "action": "SCMP_ACT_ALLOW"},
		{"names": ["chown", "write", "setns"], "action": "SCMP_ACT_ALLOW", "includes": null},
		{"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
		{"names": ["chroot", "setns", "perf_event_open"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_SYS_CHROOT"]}},
		{"names": ["perf_event_open"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_PERFMON"]}}]}`
	got, err := EngineProfile([]byte(profile), "/agent.sock", rows)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"chown setns NOTIFY", "reboot ERRNO", "read ALLOW", "write ALLOW", "chroot NOTIFY CAP_SYS_CHROOT",
		"chroot setns perf_event_open ERRNO", "perf_event_open NOTIFY CAP_PERFMON"}
	if rules := engineRules(t, got); !slices.Equal(rules, want) {
		t.Errorf("rules are\n%q, want\n%q", rules, want)
	}
	for _, kept := range []string{`"comment":"kept"`, `"defaultErrnoRet":38`, `"listenerPath":"/agent.sock"`, `"excludes":{"caps":["CAP_SYS_CHROOT"]}`} {
		if !strings.Contains(strings.ReplaceAll(string(got), ": ", ":"), kept) {
			t.Errorf("the profile lacks %s:\n%s", kept, got)
		}
	}
	if strings.Contains(string(got), "architectures") {
		t.Error("the profile has archMap and architectures, which engines refuse")
	}
	again, err := EngineProfile(got, "/agent.sock", rows)
	if err != nil || string(again) != string(got) {
		t.Errorf("a second time, the profile changes to\n%s\n(%v)", again, err)
	}
}

func TestEngineProfileThatDeniesNothing(t *testing.T) {
	rows := []syscalls.Row{{Name: "chown", Support: syscalls.Emulated}}
	got, err := EngineProfile([]byte(`{"defaultAction": "SCMP_ACT_ALLOW"}`), "", rows)
	if err != nil {
		t.Fatal(err)
	}
	if rules := engineRules(t, got); !slices.Equal(rules, []string{"chown NOTIFY"}) {
		t.Errorf("rules are %q", rules)
	}
	if !strings.Contains(string(got), "architectures") || strings.Contains(string(got), "listenerPath") {
		t.Errorf("got %s", got)
	}
}

func TestEngineProfileErrors(t *testing.T) {
	rows := []syscalls.Row{{Name: "chown", Support: syscalls.Emulated}}
	for profile, want := range map[string]string{
		`[]`: "must be an object",
		`{"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/other"}`: "another seccomp agent",
		`{"defaultAction": "SCMP_ACT_NOTIFY"}`:                          "has defaultAction SCMP_ACT_NOTIFY",
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chown"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}}]}`:                                                                                                                           "includes or excludes",
		`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["chown"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}}, {"names": ["chown"], "action": "SCMP_ACT_ALLOW"}]}`: "put the rule that lets it pass first",
	} {
		if got, err := EngineProfile([]byte(profile), "/agent.sock", rows); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("EngineProfile(%s) = %s, %v; want an error with %q", profile, got, err, want)
		}
	}
}
