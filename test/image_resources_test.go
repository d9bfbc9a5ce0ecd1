package test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestResources sets limits of containers: their values are docker's, and if there is no cgroup for them,
// nothing runs. TestCgroups has one.
func TestResources(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	subuidless(t, "create", store, "--name=all", "-m=1.5g", "--memory-reservation=512M", "--cpus=1.5", "-c", "512", "--cpuset-cpus=0,1", "--cpuset-mems=0", "--pids-limit=100",
		"--cgroup-conf=memory.high=1073741824", "--cgroup-conf", "io.max=8:0 rbps=1048576", "box", "true")
	subuidless(t, "create", store, "--name=some", "--memory=64m", "--memory-swap=-1", "--cpu-quota=50000", "--cpu-period=100000", "--pids-limit=-1", "box", "true")
	subuidless(t, "create", store, "--name=none", "box", "true")
	const format = "{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.NanoCpus}} {{.CpuShares}} {{.CpuQuota}} {{.CpuPeriod}} {{.CpusetCpus}} {{.CpusetMems}} {{json .PidsLimit}} {{json .CgroupConf}}{{end}}"
	for name, want := range map[string]string{
		"all":  `1610612736 3221225472 536870912 1500000000 512 0 0 0,1 0 100 {"io.max":"8:0 rbps=1048576","memory.high":"1073741824"}`,
		"some": "67108864 -1 0 0 0 50000 100000   null null",
		"none": "0 0 0 0 0 0 0   null null",
	} {
		if out := subuidless(t, "inspect", store, "-f", format, name); out != want+"\n" {
			t.Errorf("%s: %q, want %q", name, out, want)
		}
	}
	rootfs := t.TempDir()
	if err := makeRootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ flag, want string }{
		{"--memory=lots", `"lots" is not a size`},
		{"--memory=5m", "--memory: must be at least 6m"},
		{"--memory-swap=1g", "it needs --memory"},
		{"--cpus=one", `"one" is not a number of processors`},
		{"--cpus=0.0000000001", "has too many digits"},
		{"--cgroup-conf=memory.high", "must be FILE=VALUE"},
		{"--cgroup-parent=x", "a container has a cgroup below that of its caller"},
		{"--cgroup-conf=cgroup.max.depth=1", "limits of a container need a cgroup: "},
	} {
		wantText(t, tt.flag, fails(t, "run", "--rm", store, tt.flag, "box", "true"), tt.want)
		wantText(t, tt.flag, fails(t, "run", tt.flag, rootfs, "--", "true"), tt.want)
	}
}
