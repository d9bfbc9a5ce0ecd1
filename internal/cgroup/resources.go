// Package cgroup gives containers cgroups of version 2, which limit what their processes use:
// cgroups(7). It finds one that the user may divide, or asks systemd for one.
package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Resources are what a container may use. The names are those of docker's HostConfig; zero means
// no limit.
type Resources struct {
	Memory            int64             `json:",omitempty"` // bytes
	MemorySwap        int64             `json:",omitempty"` // bytes of memory and swap; -1: no limit of swap; 0: twice Memory
	MemoryReservation int64             `json:",omitempty"` // bytes that are not reclaimed while others can be
	NanoCpus          int64             `json:",omitempty"` //nolint:revive // billionths of a processor
	CpuShares         int64             `json:",omitempty"` //nolint:revive // weight; the default of the kernel is that of 1024
	CpuPeriod         int64             `json:",omitempty"` //nolint:revive // microseconds
	CpuQuota          int64             `json:",omitempty"` //nolint:revive // microseconds of each period
	CpusetCpus        string            `json:",omitempty"` // list of processors
	CpusetMems        string            `json:",omitempty"` // list of memory nodes
	PidsLimit         int64             `json:",omitempty"` // tasks; -1: no limit
	Conf              map[string]string `json:",omitempty"` // further files of the cgroup, and their contents
}

// setting is a file of a cgroup and what is written to it.
type setting struct {
	file, value string
	optional    bool // the file may be missing
}

// controller returns the controller of the file; empty: every cgroup has it.
func (s setting) controller() string {
	name, _, _ := strings.Cut(s.file, ".")
	if name == "cgroup" {
		return ""
	}
	return name
}

const (
	// minMemory is docker's least limit of memory.
	minMemory = 6 << 20
	// defaultPeriod is the kernel's, in microseconds.
	defaultPeriod = 100_000
)

// Check returns an error if docker would refuse r.
func (r *Resources) Check() error {
	switch {
	case r.Memory != 0 && r.Memory < minMemory:
		return errors.New("--memory: must be at least 6m")
	case r.MemorySwap != 0 && r.Memory == 0:
		return errors.New("--memory-swap: it is the sum of memory and swap, so it needs --memory")
	case r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return errors.New("--memory-swap: it is the sum of memory and swap, so it must not be less than --memory")
	case r.MemoryReservation != 0 && r.MemoryReservation < minMemory:
		return errors.New("--memory-reservation: must be at least 6m")
	case r.Memory != 0 && r.MemoryReservation > r.Memory:
		return errors.New("--memory-reservation: must not be more than --memory")
	case r.NanoCpus != 0 && (r.CpuPeriod != 0 || r.CpuQuota != 0):
		return errors.New("--cpus: it sets the quota and the period, so it cannot be combined with --cpu-quota and --cpu-period")
	case r.NanoCpus < 0 || r.NanoCpus > 0 && r.NanoCpus < 1e7:
		return errors.New("--cpus: must be at least 0.01")
	case r.CpuPeriod != 0 && (r.CpuPeriod < 1000 || r.CpuPeriod > 1_000_000):
		return errors.New("--cpu-period: must be from 1000 to 1000000 (microseconds)")
	case r.CpuQuota > 0 && r.CpuQuota < 1000:
		return errors.New("--cpu-quota: must be at least 1000 (microseconds)")
	case r.CpuShares < 0:
		return errors.New("--cpu-shares: must be positive")
	}
	for file := range r.Conf {
		if controller, name, ok := strings.Cut(file, "."); !ok || controller == "" || name == "" || strings.Contains(file, "/") {
			return fmt.Errorf("--cgroup-conf %s: must be the name of a file of a cgroup, such as memory.high", file)
		}
	}
	return nil
}

// Limited reports whether r has any limit.
func (r *Resources) Limited() bool { return len(r.settings()) > 0 }

// settings returns the files to write, in this order.
func (r *Resources) settings() []setting {
	var all []setting
	set := func(file, value string) { all = append(all, setting{file: file, value: value}) }
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	if r.Memory > 0 {
		set("memory.max", number(r.Memory))
		switch {
		case r.MemorySwap < 0:
			set("memory.swap.max", "max")
		case r.MemorySwap > 0:
			set("memory.swap.max", number(r.MemorySwap-r.Memory))
		default:
			// Where the kernel has no swap, or does not account for it, there is no such file.
			all = append(all, setting{"memory.swap.max", number(r.Memory), true})
		}
	}
	if r.MemoryReservation > 0 {
		set("memory.low", number(r.MemoryReservation))
	}
	period, quota := r.CpuPeriod, r.CpuQuota
	if r.NanoCpus > 0 {
		period, quota = defaultPeriod, r.NanoCpus/(1e9/defaultPeriod)
	}
	if period > 0 || quota > 0 {
		text := "max"
		if quota > 0 {
			text = number(quota)
		}
		if period == 0 {
			period = defaultPeriod
		}
		set("cpu.max", text+" "+number(period))
	}
	if r.CpuShares > 0 {
		set("cpu.weight", number(weight(r.CpuShares)))
	}
	if r.CpusetCpus != "" {
		set("cpuset.cpus", r.CpusetCpus)
	}
	if r.CpusetMems != "" {
		set("cpuset.mems", r.CpusetMems)
	}
	if r.PidsLimit > 0 {
		set("pids.max", number(r.PidsLimit))
	}
	for _, file := range slices.Sorted(maps.Keys(r.Conf)) {
		set(file, r.Conf[file])
	}
	return all
}

// controllers returns the controllers that the settings need.
func controllers(settings []setting) []string {
	var names []string
	for _, s := range settings {
		if c := s.controller(); c != "" && !slices.Contains(names, c) {
			names = append(names, c)
		}
	}
	return names
}

// weight returns the value of cpu.weight for docker's shares, by the formula of runc and crun: 2 is 1,
// 1024 is 100 and 262144 is 10000, on a curve.
func weight(shares int64) int64 {
	const least, most = 2, 262144
	switch {
	case shares <= least:
		return 1
	case shares >= most:
		return 10000
	}
	l := math.Log2(float64(shares))
	return int64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}
