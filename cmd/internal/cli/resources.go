package cli

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/internal/cgroup"
)

// addResourceFlags adds the flags that limit what all processes of a container together use.
func addResourceFlags(flags *pflag.FlagSet, r *cgroup.Resources) {
	addBytesFlag(flags, &r.Memory, "memory", "m", "limit the memory of the container to `BYTES`, as 512m or 1.5g")
	flags.Func("memory-swap", "limit its memory and swap to `BYTES`, or -1 for no limit of swap (default twice\n--memory)", func(text string) (err error) {
		if text == "-1" {
			r.MemorySwap = -1
			return nil
		}
		r.MemorySwap, err = parseBytes(text)
		return err
	})
	addBytesFlag(flags, &r.MemoryReservation, "memory-reservation", "", "leave the container `BYTES` of memory when it is short")
	flags.Func("cpus", "limit the container to a `number` of processors, as 1.5", func(text string) (err error) {
		r.NanoCpus, err = parseCPUs(text)
		return err
	})
	flags.Int64VarP(&r.CpuShares, "cpu-shares", "c", 0, "`weight` of the container when processors are short (default 1024)")
	flags.Int64Var(&r.CpuPeriod, "cpu-period", 0, "`microseconds` of the period of --cpu-quota (default 100000)")
	flags.Int64Var(&r.CpuQuota, "cpu-quota", 0, "limit the container to `microseconds` of a processor in each period")
	flags.StringVar(&r.CpusetCpus, "cpuset-cpus", "", "use only the processors of a `list`, as 0-2,4")
	flags.StringVar(&r.CpusetMems, "cpuset-mems", "", "use only the memory nodes of a `list`, as 0,1")
	flags.Int64Var(&r.PidsLimit, "pids-limit", 0, "limit the container to a `number` of tasks; -1 is no limit")
	flags.Func("cgroup-conf", "write VALUE to FILE of the container's cgroup, `FILE=VALUE`; may be repeated", func(text string) error {
		file, value, ok := strings.Cut(text, "=")
		if !ok {
			return errors.New("must be FILE=VALUE")
		}
		if r.Conf == nil {
			r.Conf = map[string]string{}
		}
		r.Conf[file] = value
		return nil
	})
}

func addBytesFlag(flags *pflag.FlagSet, bytes *int64, name, shorthand, usage string) {
	flags.FuncP(name, shorthand, usage, func(text string) (err error) {
		*bytes, err = parseBytes(text)
		return err
	})
}

// parseBytes parses a number of bytes as docker does: a unit may follow, and the number may have a
// fraction.
func parseBytes(text string) (int64, error) {
	n, err := units.RAMInBytes(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size: must be a number of bytes, such as 64m", text)
	}
	return n, nil
}

// parseCPUs returns a decimal number of processors in billionths of one.
func parseCPUs(text string) (int64, error) {
	cpus, ok := new(big.Rat).SetString(text)
	if !ok || cpus.Sign() < 0 {
		return 0, fmt.Errorf("%q is not a number of processors, such as 0.5", text)
	}
	nano := cpus.Mul(cpus, big.NewRat(1e9, 1))
	if !nano.IsInt() || !nano.Num().IsInt64() {
		return 0, fmt.Errorf("%q has too many digits", text)
	}
	return nano.Num().Int64(), nil
}
