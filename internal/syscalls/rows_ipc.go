package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// ipcRows are the calls of System V IPC, and those of POSIX message queues that take a
// name: see sysvipc(7) and mq_overview(7).
var ipcRows = []Row{
	{Name: "semop", Handler: handlers.Semop, Args: []Arg{Int, Ptr, Size}, Checks: ChecksOnly, Note: ipcAccessNote},
	{Name: "semtimedop", Handler: handlers.Semtimedop(handlers.Timespec), Args: []Arg{Int, Ptr, Size, Ptr}, Checks: ChecksOnly, Note: ipcAccessNote},
	{Name: "semtimedop_time64", Handler: handlers.Semtimedop(handlers.TimespecI386), Args: []Arg{Int, Ptr, Size, Ptr}, Checks: ChecksOnly, Note: ipcAccessNote},
	{Name: "msgsnd", Handler: handlers.Msgsnd, I386: handlers.Msgsnd32, Args: []Arg{Int, Ptr, Size, Flags}, Checks: ChecksOnly, Note: ipcAccessNote},
	{Name: "msgrcv", Handler: handlers.Msgrcv, I386: handlers.Msgrcv32, Args: []Arg{Int, Ptr, Size, Int, Flags}, Checks: ChecksOnly, Note: ipcAccessNote},
	{Name: "shmat", Handler: handlers.Shmat, Args: []Arg{Int, Ptr, Flags}, Checks: ChecksOnly, Note: ipcAccessNote},

	{Name: "shmget", Handler: handlers.Shmget, Args: []Arg{Int, Size, Flags}, Note: ipcGetNote},
	{Name: "semget", Handler: handlers.Semget, Args: []Arg{Int, Int, Flags}, Note: ipcGetNote},
	{Name: "msgget", Handler: handlers.Msgget, Args: []Arg{Int, Flags}, Note: ipcGetNote},

	{Name: "shmctl", Handler: handlers.Shmctl, I386: handlers.Shmctl32, Args: []Arg{Int, Int, Ptr}, Note: ipcControlNote},
	{Name: "semctl", Handler: handlers.Semctl, I386: handlers.Semctl32, Args: []Arg{Int, Int, Int, Ptr}, Note: ipcControlNote},
	{Name: "msgctl", Handler: handlers.Msgctl, I386: handlers.Msgctl32, Args: []Arg{Int, Int, Ptr}, Note: ipcControlNote},

	{Name: "ipc", Handler: handlers.IPC, Args: []Arg{Int, Int, Int, Int, Ptr, Int}, Checks: ChecksMore,
		WhenUnchecked: []Condition{
			{{0, 0x1f, handlers.IPCSemget}}, {{0, 0x1f, handlers.IPCSemctl}}, {{0, 0x1f, handlers.IPCMsgget}},
			{{0, 0x1f, handlers.IPCMsgctl}}, {{0, 0x1f, handlers.IPCShmget}}, {{0, 0x1f, handlers.IPCShmctl}},
		}, Note: "`semop`, `shmget`, `msgctl` and the others, under the same conditions"},

	{Name: "mq_open", Handler: handlers.MqOpen, I386: handlers.MqOpen32, Args: []Arg{Name, Flags, Int, Ptr}, Note: "records the owner of a new message queue; needs permissions on an existing one"},
	{Name: "mq_unlink", Handler: handlers.MqUnlink, Args: []Arg{Name}, Checks: ChecksOnly, Note: "EPERM for message queues of other users"},
}

const (
	ipcAccessNote  = "needs permissions on the object"
	ipcGetNote     = "records the owner of a new object; needs permissions on an existing one"
	ipcControlNote = "shows and changes the recorded owner; needs permissions on the object, or to be its owner"
)
