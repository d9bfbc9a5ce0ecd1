package cli

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/internal/launch"
)

// addKernelFlags adds the flags about what the kernel keeps for a container or its processes.
func addKernelFlags(flags *pflag.FlagSet, o *launch.RunOptions) {
	addParsedFlag(flags, &o.Sysctls, "sysctl", "", "set `NAME=VALUE` of an IPC namespace, or with --network=none of a network; may be\nrepeated", launch.ParseSysctl)
	flags.Func("umask", "`umask` of all commands, octal (default 022)", func(text string) (err error) {
		o.Umask, err = launch.ParseUmask(text)
		return err
	})
	AddShmFlag(flags, &o.ShmSize)
	flags.Func("timeout", "`seconds` after which the container is killed (default none)", func(text string) error {
		n, err := strconv.ParseUint(text, 10, 31)
		if o.Timeout = time.Duration(n) * time.Second; err != nil {
			return errors.New("must be a number of seconds")
		}
		return nil
	})
}

// AddShmFlag adds --shm-size.
func AddShmFlag(flags *pflag.FlagSet, size *int64) {
	flags.Func("shm-size", "`size` of /dev/shm, such as 64m (default half of the memory)", func(text string) (err error) {
		if *size = 0; text != "0" { // podman's word for no limit
			*size, err = ParseBytes(text)
		}
		return err
	})
}
