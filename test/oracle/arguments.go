package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
)

// param is the meaning of a word of a program: how it becomes one or more arguments of
// the system call, and how to show what the kernel writes there.
type param struct {
	name   string
	encode func(e *encoder, word string) error
	// show returns what the kernel wrote to the bytes that encode reserved; result is the
	// call's.
	show func(out []byte, result int64) string
}

// Pointers to no memory.
const (
	nullPointer = 0
	badPointer  = 0x1000
)

// pointer returns a function that encodes NULL and BAD, and other words like good.
func pointer(good func(e *encoder, word string) error) func(*encoder, string) error {
	return func(e *encoder, word string) error {
		if address, ok := nowhere(word); ok {
			e.number(address)
			return nil
		}
		return good(e, word)
	}
}

// nowhere returns the address that NULL or BAD stands for.
func nowhere(word string) (address int64, ok bool) {
	switch word {
	case "NULL":
		return nullPointer, true
	case "BAD":
		return badPointer, true
	}
	return 0, false
}

func encodeNumber(e *encoder, word string) error {
	n, err := number(word)
	e.number(n)
	return err
}

func encodeFD(e *encoder, word string) error {
	if n, err := variable(word); err == nil {
		e.argument(kindVariable, int64(n))
		return nil
	}
	return encodeNumber(e, word)
}

// encodeActor returns a function that encodes the number of an actor, such as @2.
func encodeActor(kind byte) func(*encoder, string) error {
	return func(e *encoder, word string) error {
		digits, ok := strings.CutPrefix(word, "@")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n < 1 || n > maxActors {
			return fmt.Errorf("not an actor: %s", word)
		}
		e.argument(kind, int64(n))
		return nil
	}
}

// text returns the string that a quoted word stands for. long(N) is a name of N bytes.
func text(word string) (string, error) {
	if inner, ok := parenthesized(word, "long"); ok {
		n, err := strconv.Atoi(inner)
		if err != nil || n < 0 || n > 5000 {
			return "", fmt.Errorf("not a length: %s", word)
		}
		return strings.Repeat("n", n), nil
	}
	s, err := strconv.Unquote(word)
	if err != nil {
		return "", fmt.Errorf("not quoted: %s", word)
	}
	return s, nil
}

// parenthesized returns the text between the parentheses if word is name(...).
func parenthesized(word, name string) (string, bool) {
	inner, ok := strings.CutPrefix(word, name+"(")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, ")")
}

func encodeString(e *encoder, word string) error {
	s, err := text(word)
	e.bytes(append([]byte(s), 0))
	return err
}

// encodeValue encodes a pointer and a size: of a string, an ACL, file capabilities, or
// the interpreter's binary.
func encodeValue(e *encoder, word string) error {
	if word == "image" {
		e.number(imageAddress)
		e.number(e.imageSize)
		return nil
	}
	b, err := value(word)
	if err != nil {
		return err
	}
	e.bytes(b)
	e.number(int64(len(b)))
	return nil
}

func value(word string) ([]byte, error) {
	if inner, ok := parenthesized(word, "acl"); ok {
		return encodeACL(inner)
	}
	if inner, ok := parenthesized(word, "cap"); ok {
		return encodeFileCaps(inner)
	}
	s, err := text(word)
	return []byte(s), err
}

var aclTags = map[string]acl.Tag{"u": acl.User, "g": acl.Group, "m": acl.Mask, "o": acl.Other}

// encodeACL encodes u::7,u:1000:6,g::5,m::7,o::0 in the given order, whether it is valid
// or not.
func encodeACL(inner string) ([]byte, error) {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range strings.Split(inner, ",") {
		fields := strings.Split(entry, ":")
		if len(fields) != 3 || aclTags[fields[0]] == 0 {
			return nil, fmt.Errorf("not an entry of an ACL: %s", entry)
		}
		tag, id := aclTags[fields[0]], int64(math.MaxUint32)
		perm, err := strconv.ParseUint(fields[2], 8, 3)
		if err != nil {
			return nil, err
		}
		switch {
		case fields[1] != "":
			if id, err = number(fields[1]); err != nil {
				return nil, err
			}
		case tag == acl.User:
			tag = acl.UserObj
		case tag == acl.Group:
			tag = acl.GroupObj
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(tag))
		b = binary.LittleEndian.AppendUint16(b, uint16(perm))
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return b, nil
}

// capMask parses names such as CAP_CHOWN,CAP_FOWNER, a bit mask, "all" or "none".
func capMask(word string, all uint64) (uint64, error) {
	switch word {
	case "all":
		return all, nil
	case "none":
		return 0, nil
	}
	if mask, err := strconv.ParseUint(word, 0, 64); err == nil {
		return mask, nil
	}
	var mask uint64
	for _, name := range strings.Split(word, ",") {
		bit, ok := constants[name]
		if !ok || !strings.HasPrefix(name, "CAP_") {
			return 0, fmt.Errorf("not a capability: %s", name)
		}
		mask |= 1 << bit
	}
	return mask, nil
}

// encodeFileCaps encodes EFFECTIVE:PERMITTED:INHERITABLE as a struct vfs_cap_data of
// revision 2. EFFECTIVE is 0 or 1.
func encodeFileCaps(inner string) ([]byte, error) {
	fields := strings.Split(inner, ":")
	if len(fields) != 3 {
		return nil, fmt.Errorf("not file capabilities: %s", inner)
	}
	magic := uint32(0x02000000)
	if fields[0] == "1" {
		magic |= 1
	}
	var masks [2]uint64
	for i := range masks {
		var err error
		if masks[i], err = capMask(fields[i+1], math.MaxUint64>>23&^(1<<24)); err != nil {
			return nil, err
		}
	}
	words := []uint32{magic, uint32(masks[0]), uint32(masks[1]), uint32(masks[0] >> 32), uint32(masks[1] >> 32)}
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b, nil
}

// encodeGroups encodes [1,2,3] as a count and a pointer.
func encodeGroups(e *encoder, word string) error {
	items, err := list(word)
	if err != nil {
		return err
	}
	var b []byte
	for _, item := range items {
		n, err := number(item)
		if err != nil {
			return err
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	e.number(int64(len(items)))
	e.bytes(b)
	return nil
}

// list splits [a,b,c] at the commas.
func list(word string) ([]string, error) {
	inner, ok := strings.CutPrefix(word, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	if !ok || !ok2 {
		return nil, fmt.Errorf("not a list: %s", word)
	}
	if inner == "" {
		return nil, nil
	}
	return strings.Split(inner, ","), nil
}

// encodeTimes encodes [now,omit] or [SECONDS,SECONDS] as two timespecs.
func encodeTimes(e *encoder, word string) error {
	items, err := list(word)
	if err != nil {
		return err
	}
	var b []byte
	for _, item := range items {
		sec, nsec := int64(0), int64(0)
		switch item {
		case "now":
			nsec = unix.UTIME_NOW
		case "omit":
			nsec = unix.UTIME_OMIT
		case "bad":
			nsec = 1e9
		default:
			if sec, err = number(item); err != nil {
				return err
			}
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(sec))
		b = binary.LittleEndian.AppendUint64(b, uint64(nsec))
	}
	e.bytes(b)
	return nil
}

// encodeWords encodes [A,B,C] as words of 64 bits and their size: a struct open_how is
// [FLAGS,MODE,RESOLVE], a struct file_attr is [XFLAGS,EXTSIZE,PROJID], and an int with padding [N].
func encodeWords(e *encoder, word string) error {
	items, err := list(word)
	if err != nil {
		return err
	}
	var b []byte
	for _, item := range items {
		n, err := number(item)
		if err != nil {
			return err
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	e.bytes(b)
	e.number(int64(len(b)))
	return nil
}

// encodeSockaddr encodes a path as a struct sockaddr_un and its size.
func encodeSockaddr(e *encoder, word string) error {
	s, err := text(word)
	b := binary.LittleEndian.AppendUint16(nil, unix.AF_UNIX)
	b = append(append(b, s...), 0)
	e.bytes(b)
	e.number(int64(len(b)))
	return err
}

// encodeArgv encodes ["a","b"] as an array of pointers.
func encodeArgv(e *encoder, word string) error {
	items, err := list(word)
	if err != nil {
		return err
	}
	var array []byte
	for _, item := range items {
		s, err := text(item)
		if err != nil {
			return err
		}
		array = binary.LittleEndian.AppendUint64(array, uint64(e.place(append([]byte(s), 0))))
	}
	e.bytes(append(array, make([]byte, 8)...))
	return nil
}

// capHeader is a struct __user_cap_header_struct of version 3, for the caller itself.
var capHeader = binary.LittleEndian.AppendUint64(nil, unix.LINUX_CAPABILITY_VERSION_3)

// encodeCaps encodes [EFFECTIVE;PERMITTED;INHERITABLE] as the two arguments of capset.
func encodeCaps(e *encoder, word string) error {
	fields := strings.Split(strings.Trim(word, "[]"), ";")
	if len(fields) != 3 {
		return fmt.Errorf("not capability sets: %s", word)
	}
	var masks [3]uint64
	for i := range masks {
		var err error
		if masks[i], err = capMask(fields[i], e.allCaps); err != nil {
			return err
		}
	}
	var b []byte
	for half := range 2 {
		for _, m := range masks {
			b = binary.LittleEndian.AppendUint32(b, uint32(m>>(32*half)))
		}
	}
	e.bytes(capHeader)
	e.bytes(b)
	return nil
}

func encodeCapsOut(e *encoder, word string) error {
	e.bytes(capHeader)
	return encodeOut(24)(e, word)
}

// encodeOut returns a function that encodes & as a pointer to size bytes.
func encodeOut(size int) func(*encoder, string) error {
	return func(e *encoder, word string) error {
		if word != "&" {
			return fmt.Errorf("not a pointer to a result: %s", word)
		}
		e.out(size)
		return nil
	}
}

// encodeBuffer encodes &N as a pointer to N bytes, and N; 0 as a null pointer and 0.
func encodeBuffer(e *encoder, word string) error {
	if address, ok := nowhere(word); ok {
		e.number(address)
		e.number(64)
		return nil
	}
	size, err := strconv.Atoi(strings.TrimPrefix(word, "&"))
	if err != nil || size < 0 || size > 4096 {
		return fmt.Errorf("not a buffer: %s", word)
	}
	if size == 0 {
		e.number(0)
	} else {
		e.out(size)
	}
	e.number(int64(size))
	return nil
}

// encodeHandle encodes & as pointers to a struct file_handle and to a mount id.
func encodeHandle(e *encoder, word string) error {
	if word != "&" {
		return fmt.Errorf("not a handle: %s", word)
	}
	b := make([]byte, 8+128)
	b[0] = 128
	e.bytes(b)
	e.out(4)
	return nil
}

// numeric returns a param that is a number. Its name selects the generator's function
// (words.go).
func numeric(name string) param { return param{name: name, encode: encodeNumber} }

// The kinds of arguments.
var (
	num           = numeric("number")
	mode          = numeric("mode")
	umask         = numeric("umask")
	openFlags     = numeric("openFlags")
	removeFlags   = numeric("removeFlags")
	renameFlags   = numeric("renameFlags")
	linkFlags     = numeric("linkFlags")
	nofollowFlags = numeric("nofollowFlags")
	accessMode    = numeric("accessMode")
	accessFlags   = numeric("accessFlags")
	execFlags     = numeric("execFlags")
	xattrFlags    = numeric("xattrFlags")
	statxMask     = numeric("statxMask")
	node          = numeric("node")
	device        = numeric("device")
	id            = numeric("id")
	length        = numeric("length")
	signalNumber  = numeric("signal")
	unixFamily    = numeric("unixFamily")
	socketType    = numeric("socketType")
	socketLevel   = numeric("socketLevel")
	socketOption  = numeric("socketOption")
	zero          = numeric("zero")
	one           = numeric("one")
	inotifyFlags  = numeric("inotifyFlags")
	inotifyMask   = numeric("inotifyMask")
	inodeCommand  = numeric("inodeCommand")
	actor         = numeric("actor")
	namespaces    = numeric("namespaces")

	fd     = param{name: "fd", encode: encodeFD}
	socket = param{name: "socket", encode: encodeFD}
	watch  = param{name: "watch", encode: encodeFD}
	dirfd  = param{name: "dirfd", encode: encodeFD}
	path   = param{name: "path", encode: pointer(encodeString)}
	// The path of a file to be created, of a directory, and of a program.
	newPath       = param{name: "newPath", encode: path.encode}
	directoryPath = param{name: "directoryPath", encode: path.encode}
	programPath   = param{name: "programPath", encode: path.encode}
	directoryFD   = param{name: "directoryFD", encode: encodeFD}
	null          = param{name: "null", encode: pointer(encodeString)}
	target        = param{name: "target", encode: pointer(encodeString)}
	attribute     = param{name: "attribute", encode: pointer(encodeString)}
	val           = param{name: "value", encode: encodeValue}
	content       = param{name: "content", encode: encodeValue}
	groups        = param{name: "groups", encode: encodeGroups}
	times         = param{name: "times", encode: pointer(encodeTimes)}
	how           = param{name: "how", encode: encodeWords}
	fileAttr      = param{name: "fileAttr", encode: encodeWords}
	inodeFlags    = param{name: "inodeFlags", encode: encodeWords}
	optionValue   = param{name: "optionValue", encode: encodeWords}
	sockaddr      = param{name: "sockaddr", encode: encodeSockaddr}
	argv          = param{name: "argv", encode: encodeArgv}
	caps          = param{name: "caps", encode: encodeCaps}
	process       = param{name: "actorID", encode: encodeActor(kindProcess)}
	task          = param{name: "actorID", encode: encodeActor(kindTask)}
	mapFile       = param{name: "mapFile", encode: encodeString}
	mapText       = param{name: "mapText", encode: encodeValue}

	handle    = param{name: "handle", encode: encodeHandle}
	statOut   = param{name: "out", encode: pointer(encodeOut(144)), show: showStat}
	statxOut  = param{name: "out", encode: pointer(encodeOut(256)), show: showStatx}
	statfsOut = param{name: "out", encode: pointer(encodeOut(120))}
	idOut     = param{name: "out", encode: pointer(encodeOut(4)), show: showID}
	capsOut   = param{name: "capsOut", encode: encodeCapsOut, show: showCaps}
	mapOut    = param{name: "mapOut", encode: encodeBuffer, show: showBytes}
	bytesOut  = param{name: "buffer", encode: encodeBuffer, show: showBytes}
	namesOut  = param{name: "names", encode: encodeBuffer, show: showNames}
	dirOut    = param{name: "buffer", encode: encodeBuffer, show: showEntries}
	groupsOut = param{name: "groupsOut", encode: encodeGroupsOut, show: showGroups}
)

func encodeGroupsOut(e *encoder, word string) error {
	size, err := strconv.Atoi(strings.TrimPrefix(word, "&"))
	if err != nil || size < 0 || size > 64 {
		return fmt.Errorf("not groups: %s", word)
	}
	e.number(int64(size))
	e.out(4 * max(size, 1))
	return nil
}
