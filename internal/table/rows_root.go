package table

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// rootRows are the calls by which a task sees another file tree. The kernel
// executes them; the supervisor only learns that paths no longer mean the same to
// every task.
var rootRows = []Row{
	{Name: "chroot", Handler: kernel.NewRoot, Args: []Arg{Path}, Note: "the kernel's own; watched"},
	{Name: "pivot_root", Handler: kernel.NewRoot, Args: []Arg{Path, Path}, Note: "the kernel's own; watched"},
	{Name: "setns", Handler: kernel.NewRoot, Args: []Arg{FD, Flags}, Note: "the kernel's own; watched"},
	{Name: "unshare", Handler: kernel.NewRoot, Args: []Arg{Flags}, When: []ArgTest{{0, unix.CLONE_NEWNS, unix.CLONE_NEWNS}}, Note: "the kernel's own; watched for CLONE_NEWNS"},
	{Name: "clone", Handler: kernel.NewRoot, Args: []Arg{Flags, Ptr, Ptr, Ptr, Ptr}, When: []ArgTest{{0, unix.CLONE_NEWNS, unix.CLONE_NEWNS}}, Note: "the kernel's own; watched for CLONE_NEWNS"},
	{Name: "clone3", Handler: kernel.Clone3, Args: []Arg{Ptr, Size}, Note: "the kernel's own; watched for CLONE_NEWNS"},
}
