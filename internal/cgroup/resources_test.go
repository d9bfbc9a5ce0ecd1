package cgroup

import (
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	const m = 1 << 20
	for _, tt := range []struct {
		r    Resources
		want string
	}{
		{Resources{}, ""},
		{Resources{PidsLimit: -1}, ""},
		{Resources{Memory: 64 * m}, "memory.max=67108864 memory.swap.max=67108864"},
		{Resources{Memory: 64 * m, MemorySwap: 96 * m}, "memory.max=67108864 memory.swap.max=33554432"},
		{Resources{Memory: 64 * m, MemorySwap: 64 * m}, "memory.max=67108864 memory.swap.max=0"},
		{Resources{Memory: 64 * m, MemorySwap: -1}, "memory.max=67108864 memory.swap.max=max"},
		{Resources{MemoryReservation: 8 * m}, "memory.low=8388608"},
		{Resources{NanoCpus: 1_500_000_000}, "cpu.max=150000 100000"},
		{Resources{CpuQuota: 5000}, "cpu.max=5000 100000"},
		{Resources{CpuPeriod: 5000, CpuQuota: -1}, "cpu.max=max 5000"},
		{Resources{CpuShares: 1024, CpusetCpus: "0-1", CpusetMems: "0", PidsLimit: 9}, "cpu.weight=100 cpuset.cpus=0-1 cpuset.mems=0 pids.max=9"},
		{Resources{PidsLimit: 9, Conf: map[string]string{"pids.max": "8", "cgroup.freeze": "0"}}, "pids.max=9 cgroup.freeze=0 pids.max=8"},
	} {
		var texts []string
		for _, s := range tt.r.settings() {
			texts = append(texts, s.file+"="+s.value)
		}
		if got := strings.Join(texts, " "); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.r, got, tt.want)
		}
		if err := tt.r.Check(); err != nil {
			t.Errorf("%+v: %v", tt.r, err)
		}
	}
	all := Resources{Memory: 64 * m, NanoCpus: 1e9, PidsLimit: 1, Conf: map[string]string{"cgroup.freeze": "0", "hugetlb.2MB.max": "0"}}
	if got := strings.Join(controllers(all.settings()), " "); got != "memory cpu pids hugetlb" {
		t.Errorf("controllers: %q", got)
	}
}

func TestCheck(t *testing.T) {
	const m = 1 << 20
	for _, tt := range []struct {
		r    Resources
		want string
	}{
		{Resources{Memory: 5 * m}, "--memory: must be at least 6m"},
		{Resources{MemorySwap: 64 * m}, "so it needs --memory"},
		{Resources{Memory: 64 * m, MemorySwap: 32 * m}, "must not be less than --memory"},
		{Resources{Memory: 64 * m, MemoryReservation: 65 * m}, "must not be more than --memory"},
		{Resources{MemoryReservation: m}, "--memory-reservation: must be at least 6m"},
		{Resources{NanoCpus: 1e6}, "--cpus: must be at least 0.01"},
		{Resources{NanoCpus: 1e9, CpuQuota: 5000}, "cannot be combined"},
		{Resources{CpuPeriod: 999}, "--cpu-period: must be from 1000"},
		{Resources{CpuQuota: 999}, "--cpu-quota: must be at least 1000"},
		{Resources{CpuShares: -1}, "--cpu-shares: must be positive"},
		{Resources{Conf: map[string]string{"../x.y": "1"}}, "must be the name of a file"},
		{Resources{Conf: map[string]string{"procs": "1"}}, "must be the name of a file"},
	} {
		if err := tt.r.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.r, err, tt.want)
		}
	}
}

// The weights are those that runc and crun set.
func TestWeight(t *testing.T) {
	for shares, want := range map[int64]int64{1: 1, 2: 1, 256: 35, 512: 59, 1024: 100, 2048: 174, 262144: 10000, 1 << 40: 10000} {
		if got := weight(shares); got != want {
			t.Errorf("%d: %d, want %d", shares, got, want)
		}
	}
}
