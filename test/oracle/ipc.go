package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// System V IPC and POSIX message queues. A program that uses them has an IPC namespace of its
// own. Nothing blocks: IPC_NOWAIT is always set.

// What a call returns that must not be compared as a number.
const (
	aNumber = iota
	anObject
	anAddress
)

var ipcCalls = ofFeature("ipc", []call{
	{name: "shmget", number: unix.SYS_SHMGET, params: []param{ipcKey, shmSize, ipcFlags}, returns: anObject},
	{name: "shmctl", number: unix.SYS_SHMCTL, params: []param{shm, shmCommand, shmStatus}, weight: 20},
	{name: "shmctl_index", number: unix.SYS_SHMCTL, params: []param{ipcIndex, shmIndexCommand, shmStatus}, returns: anObject, weight: 5},
	{name: "shmat", number: unix.SYS_SHMAT, params: []param{shm, shmAddress, shmFlags}, returns: anAddress},
	{name: "shmdt", number: unix.SYS_SHMDT, params: []param{attachment}, weight: 5},
	{name: "semget", number: unix.SYS_SEMGET, params: []param{ipcKey, semCount, ipcFlags}, returns: anObject},
	{name: "semctl", number: unix.SYS_SEMCTL, params: []param{sem, semNumber, ipcCommand, semStatus}, weight: 20},
	{name: "semctl_index", number: unix.SYS_SEMCTL, params: []param{ipcIndex, zero, semIndexCommand, semStatus}, returns: anObject, weight: 5},
	{name: "semctl_value", number: unix.SYS_SEMCTL, params: []param{sem, semNumber, semCommand, semValue}},
	{name: "semctl_all", number: unix.SYS_SEMCTL, params: []param{sem, zero, semAllCommand, semValues}, weight: 5},
	{name: "semop", number: unix.SYS_SEMOP, params: []param{sem, semOperations}},
	{name: "semtimedop", number: unix.SYS_SEMTIMEDOP, params: []param{sem, semOperations, semTimeout}},
	{name: "msgget", number: unix.SYS_MSGGET, params: []param{ipcKey, ipcFlags}, returns: anObject},
	{name: "msgctl", number: unix.SYS_MSGCTL, params: []param{msg, ipcCommand, msgStatus}, weight: 20},
	{name: "msgctl_index", number: unix.SYS_MSGCTL, params: []param{ipcIndex, msgIndexCommand, msgStatus}, returns: anObject, weight: 5},
	{name: "msgsnd", number: unix.SYS_MSGSND, params: []param{msg, message, msgSendFlags}},
	{name: "msgrcv", number: unix.SYS_MSGRCV, params: []param{msg, messageOut, msgType, msgReceiveFlags}},

	{name: "mq_open", number: unix.SYS_MQ_OPEN, params: []param{mqName, mqFlags, mode, mqAttributes}, fd: true, weight: 20},
	{name: "mq_unlink", number: unix.SYS_MQ_UNLINK, params: []param{mqName}},
	{name: "mq_getsetattr", number: unix.SYS_MQ_GETSETATTR, params: []param{queue, mqAttributes, mqAttributesOut}, weight: 5},
})

func ofFeature(name string, calls []call) []call {
	for i := range calls {
		calls[i].feature = name
	}
	return calls
}

var (
	ipcKey          = numeric("ipcKey")
	ipcFlags        = numeric("ipcFlags")
	ipcCommand      = numeric("ipcCommand")
	ipcIndex        = numeric("ipcIndex")
	shmCommand      = numeric("shmCommand")
	shmIndexCommand = numeric("shmIndexCommand")
	semIndexCommand = numeric("semIndexCommand")
	msgIndexCommand = numeric("msgIndexCommand")
	shmSize         = numeric("shmSize")
	shmAddress      = numeric("shmAddress")
	shmFlags        = numeric("shmFlags")
	semCount        = numeric("semCount")
	semNumber       = numeric("semNumber")
	semCommand      = numeric("semCommand")
	semAllCommand   = numeric("semAllCommand")
	semValue        = numeric("semValue")
	msgType         = numeric("msgType")
	mqFlags         = numeric("mqFlags")
	msgSendFlags    = param{name: "msgSendFlags", encode: encodeNoWait}
	msgReceiveFlags = param{name: "msgReceiveFlags", encode: encodeNoWait}

	shm        = param{name: "shm", encode: encodeFD}
	sem        = param{name: "sem", encode: encodeFD}
	msg        = param{name: "msg", encode: encodeFD}
	attachment = param{name: "attachment", encode: encodeFD}
	queue      = param{name: "queue", encode: encodeFD}

	shmStatus = param{name: "ipcStatus", encode: pointer(encodeStatus), show: showShm}
	semStatus = param{name: "ipcStatus", encode: pointer(encodeStatus), show: showSem}
	msgStatus = param{name: "ipcStatus", encode: pointer(encodeStatus), show: showMsg}

	semOperations   = param{name: "semOperations", encode: encodeOperations}
	semTimeout      = param{name: "semTimeout", encode: pointer(encodeTimeout)}
	semValues       = param{name: "out", encode: pointer(encodeOut(16)), show: showBytesOf(16)}
	message         = param{name: "message", encode: encodeMessage}
	messageOut      = param{name: "messageOut", encode: encodeMessageOut, show: showMessage}
	mqName          = param{name: "mqName", encode: pointer(encodeString)}
	mqAttributes    = param{name: "mqAttributes", encode: pointer(encodeAttributes)}
	mqAttributesOut = param{name: "out", encode: pointer(encodeOut(64)), show: showBytesOf(32)}
)

func encodeNoWait(e *encoder, word string) error {
	n, err := number(word)
	e.number(n | unix.IPC_NOWAIT)
	return err
}

// Offsets in struct ipc64_perm and, where long has 64 bits, in the status of objects, which
// begins with it.
const (
	permUID  = 4
	permMode = 20

	shmSegsz  = 48
	shmNattch = 88
	msgCbytes = 72
	msgQnum   = 80
	msgQbytes = 88

	statusSize = 120 // of the largest one
)

// encodeStatus encodes & as a pointer to a status, and [UID,GID,MODE] as one for IPC_SET.
func encodeStatus(e *encoder, word string) error {
	if word == "&" {
		e.out(statusSize)
		return nil
	}
	items, err := list(word)
	if err != nil {
		return err
	}
	if len(items) != 3 {
		return fmt.Errorf("not an owner and a mode: %s", word)
	}
	b := make([]byte, statusSize)
	binary.LittleEndian.PutUint64(b[msgQbytes:], 4096)
	for i, at := range []int{permUID, permUID + 4, permMode} {
		n, err := number(items[i])
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(b[at:], uint32(n))
	}
	e.bytes(b)
	return nil
}

// showPerm shows the status that IPC_STAT has written. Other commands write nothing.
func showPerm(b []byte, rest string) string {
	if u32(b, permMode)|u32(b, 24) == 0 && u64(b, shmSegsz)|u64(b, semNsems)|u64(b, msgQbytes) == 0 {
		return ""
	}
	return fmt.Sprintf("key %#x owner %d:%d creator %d:%d mode %o%s", u32(b, 0), u32(b, permUID), u32(b, permUID+4),
		u32(b, permUID+8), u32(b, permUID+12), u32(b, permMode), rest)
}

func showShm(b []byte, _ int64) string {
	return showPerm(b, fmt.Sprintf(" size %d attached %d", u64(b, shmSegsz), u64(b, shmNattch)))
}

func showSem(b []byte, _ int64) string {
	return showPerm(b, fmt.Sprintf(" semaphores %d", u64(b, semNsems)))
}

func showMsg(b []byte, _ int64) string {
	return showPerm(b, fmt.Sprintf(" messages %d bytes %d of %d", u64(b, msgQnum), u64(b, msgCbytes), u64(b, msgQbytes)))
}

func showBytesOf(size int) func([]byte, int64) string {
	return func(b []byte, _ int64) string { return quote(b[:size]) }
}

// encodeOperations encodes [NUMBER:VALUE,NUMBER:VALUEu] as operations on semaphores, and
// their count. u means SEM_UNDO.
func encodeOperations(e *encoder, word string) error {
	if address, ok := nowhere(word); ok {
		e.number(address)
		e.number(1)
		return nil
	}
	items, err := list(word)
	if err != nil {
		return err
	}
	var b []byte
	for _, item := range items {
		at, op, _ := strings.Cut(item, ":")
		flags := uint16(unix.IPC_NOWAIT)
		if digits, undo := strings.CutSuffix(op, "u"); undo {
			op = digits
			flags |= semUndo
		}
		n, err := number(at)
		if err != nil {
			return err
		}
		value, err := number(op)
		if err != nil {
			return err
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		b = binary.LittleEndian.AppendUint16(b, uint16(value))
		b = binary.LittleEndian.AppendUint16(b, flags)
	}
	e.bytes(b)
	e.number(int64(len(items)))
	return nil
}

// semUndo is SEM_UNDO of <linux/sem.h>.
const semUndo = 0x1000

// encodeTimeout encodes [SECONDS,NANOSECONDS].
func encodeTimeout(e *encoder, word string) error { return encodeLongs(e, word, 2) }

// encodeAttributes encodes [FLAGS,MESSAGES,SIZE] as a struct mq_attr.
func encodeAttributes(e *encoder, word string) error { return encodeLongs(e, word, 8) }

// encodeLongs encodes [A,B,C] as a pointer to n words of 64 bits.
func encodeLongs(e *encoder, word string, n int) error {
	items, err := list(word)
	if err != nil {
		return err
	}
	if len(items) > n {
		return fmt.Errorf("more than %d numbers: %s", n, word)
	}
	b := make([]byte, 8*n)
	for i, item := range items {
		v, err := number(item)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(b[8*i:], uint64(v))
	}
	e.bytes(b)
	return nil
}

// encodeMessage encodes [TYPE,"TEXT"] as a struct msgbuf and the size of its text.
func encodeMessage(e *encoder, word string) error {
	if address, ok := nowhere(word); ok {
		e.number(address)
		e.number(4)
		return nil
	}
	items, err := list(word)
	if err != nil {
		return err
	}
	if len(items) != 2 {
		return fmt.Errorf("not a message: %s", word)
	}
	kind, err := number(items[0])
	if err != nil {
		return err
	}
	s, err := text(items[1])
	e.bytes(append(binary.LittleEndian.AppendUint64(nil, uint64(kind)), s...))
	e.number(int64(len(s)))
	return err
}

// encodeMessageOut encodes &N as a pointer to room for a message with N bytes of text, and N.
func encodeMessageOut(e *encoder, word string) error {
	if _, ok := nowhere(word); ok {
		return encodeMessage(e, word)
	}
	size, err := strconv.Atoi(strings.TrimPrefix(word, "&"))
	if err != nil || size < -1 || size > 4096 {
		return fmt.Errorf("not a buffer: %s", word)
	}
	e.out(8 + max(size, 0))
	e.number(int64(size))
	return nil
}

func showMessage(b []byte, n int64) string {
	if n > int64(len(b)-8) {
		return ""
	}
	return fmt.Sprintf("type %d %s", u64(b, 0), quote(b[8:8+n]))
}

// namer names the objects of a program in the order in which they first appear, because their
// ids need not be the same on both sides. The first three letters of a call are their kind.
type namer map[string]int

func (n namer) show(c *call, result int64) string {
	switch {
	case result < 0, c.returns == aNumber:
		return showResult(result)
	case c.returns == anAddress:
		return "attached"
	}
	key := c.name[:3] + strconv.FormatInt(result, 10)
	if n[key] == 0 {
		n[key] = len(n) + 1
	}
	return fmt.Sprintf("object %d", n[key])
}
