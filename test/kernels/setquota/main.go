// Command setquota sets the limits of a user in a guest without the quota tools:
//
//	setquota DEVICE UID KIB INODES
//
// Nothing may pass the limits. Zero is no limit.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of <linux/quota.h>.
const (
	setQuota  = 0x800008 << 8 // QCMD(Q_SETQUOTA, USRQUOTA), which is 0
	setLimits = 1<<0 | 1<<2   // QIF_BLIMITS | QIF_ILIMITS
)

// limits is struct if_dqblk of <linux/quota.h>.
type limits struct {
	blockHard, blockSoft, space  uint64 // blocks of 1 KiB
	inodeHard, inodeSoft, inodes uint64
	blockTime, inodeTime         uint64
	valid                        uint32
	_                            uint32
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: setquota DEVICE UID KIB INODES")
	}
	if err := set(os.Args[1], os.Args[2:]); err != nil {
		log.Fatal("setquota: ", err)
	}
}

// set sets the limits on the device. Numbers are those of the command line.
func set(device string, numbers []string) error {
	var n [3]uint64
	for i, text := range numbers {
		var err error
		if n[i], err = strconv.ParseUint(text, 10, 32); err != nil {
			return err
		}
	}
	name, err := unix.BytePtrFromString(device)
	if err != nil {
		return err
	}
	l := limits{blockHard: n[1], inodeHard: n[2], valid: setLimits}
	if _, _, e := unix.Syscall6(unix.SYS_QUOTACTL, setQuota, uintptr(unsafe.Pointer(name)), uintptr(n[0]), uintptr(unsafe.Pointer(&l)), 0, 0); e != 0 {
		return fmt.Errorf("quotactl %s: %w", device, e)
	}
	return nil
}
